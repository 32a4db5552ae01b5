"""Scores of cached items for a user, and the best of them."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prerank.artefact import Artefact
from prerank.errors import ArtefactError, RequestError, UnknownItemsError
from prerank.layout import INDEX
from prerank.order import best_first
from prerank.requests import User, UserInputs, item_ids
from prerank.snapshot import Snapshot
from prerank.watching import WatchedIndex


@dataclass(frozen=True)
class Scored:
    """Items and their scores for one user, all from one version of the index.

    Attributes:
        ids: (N,) item ids; int64, or strings as objects.
        scores: (N,) float32, the logits by which items rank; NaN for an item that the index does not hold.
        unknown: the candidates that the index does not hold, in the order of the request.
        version: the version of the index.
        log_probabilities: (N,) float32, of a model with tasks the logs of the output `probability`; None for another.
    """

    ids: np.ndarray
    scores: np.ndarray
    unknown: tuple[Any, ...]
    version: str
    log_probabilities: np.ndarray | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """(N,) float32, the output `probability`: of a model without tasks, the logistic function of the scores."""
        if self.log_probabilities is not None:
            return np.exp(self.log_probabilities)
        return (0.5 * (1 + np.tanh(0.5 * self.scores))).astype(np.float32)


class PreRanker:
    """An exported model with its item index.

    Every method may be called from several threads at once. A replaced index is picked up by the next request; a
    request that is under way ends on the index that it began with.

    It may be made before a process forks its workers. A SavedModel is loaded at the first request, and each worker
    loads its own; a worker cannot if TensorFlow has computed before the fork, and says so by `ForkedError`.

    Args:
        model_dir: an exported model.
        index_dir: its item index, by default the folder `index` in `model_dir`.
        watch: pick up a replaced index without being told. One that cannot be used, because it is damaged or another
            model's, is logged, the present one stays, and the other is tried again, at most once a second and then
            less often; :meth:`reload` raises.

    Attributes:
        item_id_type: raw type of an item id, "int64" or "string".

    Raises:
        ArtefactError: model or index is missing, damaged, or they do not belong together.
    """

    def __init__(self, model_dir: str | Path, index_dir: str | Path | None = None, *, watch: bool = True):
        self._model = Artefact(Path(model_dir))
        if not self._model.decoupled:
            raise ArtefactError(f"{self._model.name} has no towers, its items cannot be cached", path=model_dir)
        self._kernel, self._encode = self._model.kernel, self._model.user_tower
        self._users = UserInputs(self._model.inputs("user"))
        self._numbers = [field["name"] for field in self._model.inputs("user") if field["kind"] == "dense"]
        self.item_id_type = next(f["dtype"] for f in self._model.inputs("item") if f["name"] == self._model.item_id)
        place = Path(model_dir) / INDEX if index_dir is None else Path(index_dir)
        self._index = WatchedIndex(place, self._model.fingerprint, self._model.arrays, watch=watch)

    def __len__(self) -> int:
        """How many items the index holds."""
        return len(self._index.snapshot)

    @property
    def version(self) -> str:
        """The version of the index that requests now get."""
        return self._index.snapshot.version

    def reload(self) -> str:
        """Read the index again and return its version.

        Raises:
            ArtefactError: the index is missing, damaged, or another model's; the present one stays.
        """
        return self._index.reload().version

    def load(self) -> None:
        """Load now, in this process, what the first request would load; a SavedModel takes seconds.

        Raises:
            ArtefactError: the SavedModel is not whole.
            ForkedError: TensorFlow had begun to compute before this process was forked.
        """
        self._model.backend.load()

    def score(self, user: User, ids: Any, *, strict: bool = False) -> Scored:
        """Score candidates for a user.

        Args:
            user: raw values by feature name, as `features.json` lists them; None is missing, and what has a default
                there may be left out.
            ids: (N,) item ids, a sequence or array.
            strict: unknown candidates are an error.

        Returns:
            All candidates in the order given; those unknown have the score NaN and are named.

        Raises:
            RequestError: the user lacks a feature, has a wrong one or a number so large that no finite score comes of
                it, or there is no candidate or one of a wrong type.
            UnknownItemsError: with `strict`, a candidate is unknown.
        """
        return self.score_many([user], ids, strict=strict)[0]

    def score_many(self, users: Sequence[User], ids: Any, *, strict: bool = False) -> list[Scored]:
        """As :meth:`score`, of the same candidates for several users."""
        snapshot = self._index.current()
        candidates = item_ids(ids, self.item_id_type)
        positions = snapshot.positions(candidates)
        unknown = _unknown(candidates, positions, strict)
        known = positions if not unknown else positions[positions >= 0]
        results = []
        for user, prepared in self._prepare(users):
            scores = self._finite(snapshot, user, prepared, known)
            if unknown:
                scores, found = np.full((len(scores), len(positions)), np.nan, np.float32), scores
                scores[:, positions >= 0] = found
            results.append(Scored(candidates, scores[0], unknown, snapshot.version, *scores[1:]))
        return results

    def top(self, user: User, n: int, *, candidates: Any = None, exclude: Any = (), strict: bool = False) -> Scored:
        """The best `n` items for a user, best first; fewer if there are fewer.

        Of equal scores the item that comes first in the index comes first, and is taken first.

        Args:
            user: as :meth:`score`.
            n: how many, at least 1.
            candidates: item ids to choose from, by default all of the index. An id counts once.
            exclude: item ids to leave out; those that the index does not hold make no difference.
            strict: unknown candidates are an error.

        Raises:
            RequestError: as :meth:`score`, or `n` is not a positive integer.
            UnknownItemsError: with `strict`, a candidate is unknown.
        """
        return self.top_many([user], n, candidates=candidates, exclude=exclude, strict=strict)[0]

    def top_many(
        self, users: Sequence[User], n: int, *, candidates: Any = None, exclude: Any = (), strict: bool = False
    ) -> list[Scored]:
        """As :meth:`top`, for several users."""
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise RequestError(f"top: expected a positive integer. Received: {n!r}")
        n = int(n)
        snapshot = self._index.current()
        positions, unknown = None, ()
        if candidates is not None:
            ids = item_ids(candidates, self.item_id_type)
            positions = snapshot.positions(ids)
            unknown = _unknown(ids, positions, strict)
            positions = np.unique(positions[positions >= 0])
        left_out = self._left_out(snapshot, exclude)
        if positions is not None and left_out is not None:
            positions, left_out = np.setdiff1d(positions, left_out, assume_unique=True), None
        results = []
        for user, prepared in self._prepare(users):
            scores = self._finite(snapshot, user, prepared, positions)
            best = best_first(scores[0], n, left_out)
            chosen = best if positions is None else positions[best]
            scores = np.take(scores, best, axis=1)  # several times as fast as an index array
            results.append(Scored(snapshot.ids(chosen), scores[0], unknown, snapshot.version, *scores[1:]))
        return results

    def _left_out(self, snapshot: Snapshot, exclude: Any) -> np.ndarray | None:
        scalar = isinstance(exclude, np.ndarray) and exclude.ndim == 0
        if exclude is None or (isinstance(exclude, Sized) and not scalar and len(exclude) == 0):
            return None
        positions = snapshot.positions(item_ids(exclude, self.item_id_type, "exclude"))
        return np.unique(positions[positions >= 0])

    def _prepare(self, users: Sequence[User]) -> list[tuple[User, Any]]:
        """Each user, and the user as the kernel takes it, from one call of the user tower."""
        if isinstance(users, str) or not isinstance(users, Sequence | np.ndarray):
            raise RequestError(f"users: expected a sequence of users. Received: {users!r}")
        if len(users) == 0:
            raise RequestError("users: empty, expected at least one")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised as an error
            states = self._encode(self._users.arrays(users))
            prepared = []
            for row, user in enumerate(users):
                state = {name: part[row] for name, part in states.items()}
                if not all(np.isfinite(part).all() for part in state.values()):
                    raise self._out_of_range(user)
                prepared.append((user, self._kernel.prepare(state)))
        return prepared

    def _finite(self, snapshot: Snapshot, user: User, prepared: Any, positions: np.ndarray | None) -> np.ndarray:
        """Numbers (outputs, n), all finite; items are so by :mod:`prerank.build_index`, so it is the user otherwise."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = snapshot.answer(self._kernel, prepared, positions)
        if not np.isfinite(scores).all():
            raise self._out_of_range(user)
        return scores

    def _out_of_range(self, user: Mapping[str, Any]) -> RequestError:
        given = ", ".join(f"{name} {user[name]!r}" for name in self._numbers if user.get(name) is not None)
        return RequestError(
            f"user: a number is out of range, no finite score comes of it: {given or 'no number given'}"
        )


def _unknown(ids: np.ndarray, positions: np.ndarray, strict: bool) -> tuple[Any, ...]:
    if positions.size and positions.min() >= 0:
        return ()
    unknown = ids[positions < 0].tolist()
    if strict:
        raise UnknownItemsError(unknown)
    return tuple(unknown)
