"""Scores of cached items for a user, and the best of them."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np

from prerank.artefact import Artefact
from prerank.calibration import Probabilities
from prerank.caps import Caps
from prerank.errors import ArtefactError, RequestError, UnknownItemsError
from prerank.kernels import of_probability
from prerank.layout import INDEX
from prerank.requests import User, UserInputs, item_ids
from prerank.reserving import Choice, Reserve
from prerank.reversed_artefact import ReversedArtefact
from prerank.scored import Scored
from prerank.snapshot import Snapshot
from prerank.watching import WatchedIndex

_MOST_SCORES = 1 << 22
"""How many scores are held at a time, of users that are answered together."""


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
        users_dir: an index of users, which `prerank index --users` makes, for :meth:`top_users`; by default none.

    Attributes:
        item_id_type: raw type of an item id, "int64" or "string".

    Raises:
        ArtefactError: model or index is missing, damaged, or they do not belong together.
    """

    _artefact: type[Artefact] = Artefact

    def __init__(
        self,
        model_dir: str | Path,
        index_dir: str | Path | None = None,
        *,
        watch: bool = True,
        users_dir: str | Path | None = None,
    ):
        self._model = self._artefact(Path(model_dir))
        if not self._model.decoupled:
            raise ArtefactError(f"{self._model.name} has no towers, its items cannot be cached", path=model_dir)
        self._kernel, self._encode = self._model.kernel, self._model.user_tower
        self._probabilities = Probabilities(self._model.features.get("calibration"))
        self._users = UserInputs(self._model.inputs("user"), self._model.asks)
        self._numbers = [field["name"] for field in self._model.inputs("user") if field["kind"] == "dense"]
        self.item_id_type = next(f["dtype"] for f in self._model.inputs("item") if f["name"] == self._model.item_id)
        place = Path(model_dir) / INDEX if index_dir is None else Path(index_dir)
        self._index = WatchedIndex(place, self._model.fingerprint, self._model.arrays, watch=watch)
        self._of_users = None if users_dir is None else _OfUsers(model_dir, users_dir, watch=watch)

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files that decide the model's scores."""
        return self._model.fingerprint

    @property
    def user_id(self) -> str:
        """Name of the user's id among the user's features."""
        return self._model.features["specification"].get("user_id", "")

    @property
    def user_fields(self) -> list[dict[str, Any]]:
        """The user's features as `features.json` describes them."""
        return self._model.inputs("user")

    def about_index(self) -> tuple[int, float, int]:
        """Number of the version that requests now get, when it became current, in s since 1970, and its items."""
        snapshot = self._index.snapshot
        return snapshot.number, snapshot.stamp[0] / 1e9, len(snapshot)

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
        if self._of_users is not None:
            self._of_users.reload()
        return self._index.reload().version

    def refresh(self) -> str:
        """Pick up a replaced index, as a request does with `watch`, and return the version that requests now get."""
        return self._index.refresh().version

    def load(self) -> None:
        """Load now, in this process, what the first request would load; a SavedModel takes seconds.

        Raises:
            ArtefactError: the SavedModel is not whole.
            ForkedError: TensorFlow had begun to compute before this process was forked.
        """
        self._model.backend.load()
        if self._of_users is not None:
            self._of_users.load()

    def score(self, user: User, ids: Any, *, strict: bool = False) -> Scored:
        """Score candidates for a user.

        Args:
            user: raw values by feature name, as `features.json` lists them; None is missing, and what has a default
                there may be left out.
            ids: (N,) item ids, a sequence or array; there may be none.
            strict: unknown candidates are an error.

        Returns:
            All candidates in the order given; those unknown have the score NaN and are named.

        Raises:
            RequestError: the user lacks a feature, has a wrong one or a number so large that no finite score comes of
                it, or a candidate is of a wrong type.
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
        for scores in self._answers(snapshot, self._prepare(users), known):
            if unknown:
                scores, found = np.full((len(scores), len(positions)), np.nan, np.float32), scores
                scores[:, positions >= 0] = found
            results.append(self._scored(candidates, scores, unknown, snapshot))
        return results

    def top(
        self,
        user: User,
        n: int,
        *,
        candidates: Any = None,
        exclude: Any = (),
        strict: bool = False,
        filter: Mapping[str, Any] | None = None,
        value: str | None = None,
        at_most: Mapping[str, int] | None = None,
        reserve: Sequence[Mapping[str, Any]] | None = None,
    ) -> Scored:
        """The best `n` items for a user, best first; fewer if there are fewer.

        Of equal scores the item that comes first in the index comes first, and is taken first.

        Args:
            user: as :meth:`score`.
            n: how many, at least 1.
            candidates: item ids to choose from, by default all of the index. An id counts once. Of none comes none.
            exclude: item ids to leave out; those that the index does not hold make no difference.
            strict: unknown candidates are an error.
            filter: conditions on attributes of the items, see :mod:`prerank.filters`.
            value: a numeric attribute, such as a bid: items rank by their probability times it. A missing one is 0.
            at_most: by the name of an attribute, how many items may share a value of it. Missing values do not count.
            reserve: places for some of the items, see :class:`prerank.reserving.Reserve`, such as
                `[{"places": 2, "filter": {"age_days": {"max": 7}}}, {"places": 1, "candidates": [5, 9]}]`.

        Raises:
            RequestError: as :meth:`score`, `n` is not a positive integer, or the index has no such attribute.
            UnknownItemsError: with `strict`, a candidate is unknown.
        """
        return self.top_many(
            [user],
            n,
            candidates=candidates,
            exclude=exclude,
            strict=strict,
            filter=filter,
            value=value,
            at_most=at_most,
            reserve=reserve,
        )[0]

    def top_many(
        self,
        users: Sequence[User],
        n: int,
        *,
        candidates: Any = None,
        exclude: Any = (),
        strict: bool = False,
        filter: Mapping[str, Any] | None = None,
        value: str | None = None,
        at_most: Mapping[str, int] | None = None,
        reserve: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Scored]:
        """As :meth:`top`, for several users."""
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise RequestError(f"top: expected a positive integer. Received: {n!r}", field="n")
        snapshot = self._index.current()
        numbers = None if value is None else snapshot.numbers(value)
        caps = None if at_most is None else Caps(snapshot.states.attributes, at_most)
        positions, left_out, unknown = self._choice(snapshot, candidates, exclude, strict, filter)
        choice = Choice(positions, left_out, caps)
        reserved = None if reserve is None else Reserve(reserve, snapshot, choice, int(n), self.item_id_type)
        results = []
        for scores in self._answers(snapshot, self._prepare(users), positions, numbers):
            ranking = scores[0 if numbers is None else -1]
            best = choice.best(ranking, int(n)) if reserved is None else reserved.choose(ranking)
            chosen = choice.items(best)
            scores = np.take(scores, best, axis=1)  # several times as fast as an index array
            results.append(self._scored(snapshot.ids(chosen), scores, unknown, snapshot, numbers is not None))
        return results

    def top_users(self, item: Mapping[str, Any], n: int, **choice: Any) -> Scored:
        """The best `n` users for an item, best first, as audience targeting needs them.

        The scores of a model such as `uni_match` can be compared between users. Those of a model that is trained to
        order the items of a user cannot.

        Args:
            item: raw values of the item's features by name; None is missing.
            n: how many, at least 1.
            choice: as for :meth:`top`, of users: `candidates` and `exclude` are user ids, and so on.

        Returns:
            User ids and their logits, from one version of the index of users.

        Raises:
            RequestError: as :meth:`top`; or this ranker was made without an index of users.
        """
        if self._of_users is None:
            raise RequestError("top_users: the ranker has no index of users, name it by users_dir", field="users_dir")
        return self._of_users.top(item, n, **choice)

    def _choice(
        self, snapshot: Snapshot, candidates: Any, exclude: Any, strict: bool, filter: Mapping[str, Any] | None
    ) -> tuple[np.ndarray | None, np.ndarray | None, tuple[Any, ...]]:
        """The positions to choose from, or None for all; if all, those to leave out; and unknown candidates."""
        positions, unknown = None, ()
        if candidates is not None:
            ids = item_ids(candidates, self.item_id_type)
            positions = snapshot.positions(ids)
            unknown = _unknown(ids, positions, strict)
            positions = np.unique(positions[positions >= 0])
        if filter is not None:
            positions = snapshot.meeting(filter, positions)
        left_out = self._left_out(snapshot, exclude)
        if positions is not None:
            if left_out is not None:
                positions = np.setdiff1d(positions, left_out, assume_unique=True)
            return positions, None, unknown
        if len(snapshot.removed):
            left_out = snapshot.removed if left_out is None else np.union1d(left_out, snapshot.removed)
        return None, left_out, unknown

    def _scored(
        self, ids: np.ndarray, scores: np.ndarray, unknown: tuple[Any, ...], snapshot: Snapshot, valued: bool = False
    ) -> Scored:
        logs = scores[1] if of_probability(self._kernel) > 1 else None
        worth = scores[-1] if valued else None
        tasks = self._model.task_calibrations
        of_tasks = dict(zip(tasks, scores, strict=False))
        return Scored(ids, scores[0], unknown, snapshot.version, logs, worth, of_tasks, self._probabilities, tasks)

    def _left_out(self, snapshot: Snapshot, exclude: Any) -> np.ndarray | None:
        scalar = isinstance(exclude, np.ndarray) and exclude.ndim == 0
        if exclude is None or (isinstance(exclude, Sized) and not scalar and len(exclude) == 0):
            return None
        positions = snapshot.positions(item_ids(exclude, self.item_id_type, "exclude"))
        return np.unique(positions[positions >= 0])

    def _prepare(self, users: Sequence[User]) -> list[tuple[User, Any]]:
        """Each user, and the user as the kernel takes it, from one call of the user tower."""
        if isinstance(users, str) or not isinstance(users, Sequence | np.ndarray):
            raise RequestError(f"users: expected a sequence of users. Received: {users!r}", field="users")
        if len(users) == 0:
            raise RequestError("users: empty, expected at least one", field="users")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised as an error
            states = self._encode(self._users.arrays(users))
            prepared = []
            for row, user in enumerate(users):
                state = {name: part[row] for name, part in states.items()}
                if not all(np.isfinite(part).all() for part in state.values()):
                    raise self._out_of_range(user)
                prepared.append((user, self._kernel.prepare(state)))
        return prepared

    def _answers(
        self,
        snapshot: Snapshot,
        users: list[tuple[User, Any]],
        positions: np.ndarray | None,
        value: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Iterator[np.ndarray]:
        """Each user's numbers (outputs, n), all finite, made for a block of users at a time.

        Items' numbers are finite by :mod:`prerank.build_index`, so where a score is not, it is the user.
        """
        count = len(snapshot.states.ids) if positions is None else len(positions)
        size = max(1, _MOST_SCORES // max(count, 1))
        for start in range(0, len(users), size):
            block = users[start : start + size]
            with np.errstate(over="ignore", invalid="ignore"):
                prepared = [user for _, user in block]
                found = snapshot.answers(self._kernel, prepared, positions, value, self._probabilities)
            for (user, _), scores in zip(block, found, strict=True):
                if not np.isfinite(scores).all():
                    raise self._out_of_range(user)
                yield scores

    def _out_of_range(self, user: Mapping[str, Any]) -> RequestError:
        given = ", ".join(f"{name} {user[name]!r}" for name in self._numbers if user.get(name) is not None)
        return RequestError(
            f"{self._model.asks}: a number is out of range, no finite score comes of it: {given or 'no number given'}",
            field=self._model.asks,
        )


class _OfUsers(PreRanker):
    """The ranker of the same model with its sides exchanged."""

    _artefact = ReversedArtefact


def _unknown(ids: np.ndarray, positions: np.ndarray, strict: bool) -> tuple[Any, ...]:
    if not positions.size or positions.min() >= 0:
        return ()
    unknown = ids[positions < 0].tolist()
    if strict:
        raise UnknownItemsError(unknown)
    return tuple(unknown)
