"""How far a pre-ranking model's best items of the whole catalogue are those of a ranking model.

Users are a sample of those with a row in the test part, each as at the first of their test rows. Items are all that
have a row in any part, each as at the first of its test rows, or, if it has none, the last of its rows before. So
under `strict` nothing is known of what a user did from then on, nor of what others did with an item in the test part.
Items that the user has in the training part are left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.defaults import CUTOFFS, USERS
from features import RESERVED, Field
from models import PreRankingModel, TwoTowerModel
from preprocess.prepared import PreparedData
from prerank.order import best_first
from training.batches import Batches, read_columns

NOT_AN_ITEM = -1
_SEED = 20_250_102
_ITEMS_A_CALL = 65_536

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Candidates:
    """The users and the catalogue that models are compared on.

    Attributes:
        users: inputs of the user side, by field name, leading axis U.
        items: inputs of the item side, leading axis N.
        left_out: of each user the places in the catalogue of the training part's items. Length U.
        positives: of each user the places of the test part's positives that are not left out. Length U.
        unseen: which items have no row in the training part, or no id of their own. Shape (N,), bool.
    """

    users: Inputs
    items: Inputs
    left_out: list[np.ndarray]
    positives: list[np.ndarray]
    unseen: np.ndarray

    @classmethod
    def of(cls, data: PreparedData, users: int = USERS) -> "Candidates":
        """Draw `users` users of the test part, or take all if there are no more."""
        names = ["group", "item_group", "timestamp", data.spec.label]
        train, validation, test = (read_columns(data, part, names) for part in ("train", "validation", "test"))
        everyone, first = _first(test["group"], test["timestamp"])
        drawn = np.sort(np.random.default_rng(_SEED).permutation(len(everyone))[:users])
        numbers, items = _catalogue(data, train, validation, test)
        left_out = _items_of(everyone[drawn], numbers, train)
        liked = {name: values[test[data.spec.label] == 1] for name, values in test.items()}
        wanted = _items_of(everyone[drawn], numbers, liked)
        return cls(
            _fields(data, "test", data.spec.side("user"), first[drawn]),
            items,
            left_out,
            [np.setdiff1d(found, known) for found, known in zip(wanted, left_out, strict=True)],
            (items[data.spec.item_id] < RESERVED) | ~np.isin(numbers, train["item_group"]),
        )

    @property
    def user_count(self) -> int:
        """How many users there are."""
        return len(self.left_out)

    @property
    def item_count(self) -> int:
        """How many items the catalogue has."""
        return len(next(iter(self.items.values())))


def _first(keys: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, ascending, and the row of each that is first in time."""
    order = np.argsort(timestamps, kind="stable")
    distinct, place = np.unique(keys[order], return_index=True)
    return distinct, order[place]


def _catalogue(data: PreparedData, train: Inputs, validation: Inputs, test: Inputs) -> tuple[np.ndarray, Inputs]:
    """The numbers of all items, ascending, and their inputs, as the module says."""
    fields = data.spec.side("item")
    before = {name: np.concatenate([train[name], validation[name]]) for name in ("item_group", "timestamp")}
    known, last = _first(before["item_group"][::-1], -before["timestamp"][::-1])
    last = len(before["timestamp"]) - 1 - last
    tested, first = _first(test["item_group"], test["timestamp"])
    numbers = np.union1d(known, tested)
    in_train = last < len(train["timestamp"])
    sources = (
        (known[in_train], _fields(data, "train", fields, last[in_train])),
        (known[~in_train], _fields(data, "validation", fields, last[~in_train] - len(train["timestamp"]))),
        (tested, _fields(data, "test", fields, first)),  # these replace what an item was before
    )
    inputs: dict[str, np.ndarray] = {}
    for found, values in sources:
        at = np.searchsorted(numbers, found)
        for name, column in values.items():
            inputs.setdefault(name, np.zeros((len(numbers), *column.shape[1:]), column.dtype))[at] = column
    return numbers, inputs


def _fields(data: PreparedData, part: str, fields: Sequence[Field], rows: np.ndarray) -> Inputs:
    names = [field.name for field in fields]
    columns = Batches(data, part, 1).columns(names)
    return {name: columns[name][rows] for name in names}


def _items_of(users: np.ndarray, numbers: np.ndarray, rows: Inputs) -> list[np.ndarray]:
    """Of each user the distinct places in `numbers` of the items of its rows, ascending."""
    mine = np.isin(rows["group"], users)
    user = np.searchsorted(users, rows["group"][mine])
    item = np.searchsorted(numbers, rows["item_group"][mine])
    pairs = np.unique(np.stack([user, item], axis=1), axis=0)
    return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, len(users))))


def top_items(model: PreRankingModel, candidates: Candidates, count: int = max(CUTOFFS)) -> np.ndarray:
    """The best items of each user, best first; of equal ones the first in the catalogue.

    Returns:
        Places in the catalogue, :data:`NOT_AN_ITEM` where a user has no more items. Shape (U, count), int64.
    """
    scores = _scorer(model, candidates)
    best = np.full((candidates.user_count, count), NOT_AN_ITEM, np.int64)
    for user, left_out in enumerate(candidates.left_out):
        order = best_first(scores(user), count, left_out)
        best[user, : len(order)] = order
    return best


def _scorer(model: PreRankingModel, candidates: Candidates) -> Callable[[int], np.ndarray]:
    """A function that gives the logits (N,) of all items for one user, by its place."""
    chunks = [
        {name: tf.constant(values[start : start + _ITEMS_A_CALL]) for name, values in candidates.items.items()}
        for start in range(0, candidates.item_count, _ITEMS_A_CALL)
    ]
    if isinstance(model, TwoTowerModel):
        states = [model.item_tower(chunk) for chunk in chunks]
        users = model.user_tower({name: tf.constant(values) for name, values in candidates.users.items()})
        score = tf.function(model.score, reduce_retracing=True)

        def decoupled(user: int) -> np.ndarray:
            state = {name: part[user : user + 1] for name, part in users.items()}
            return np.concatenate([score(state, items).numpy() for items in states])

        return decoupled
    forward = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)

    def single(user: int) -> np.ndarray:
        found = []
        for chunk in chunks:
            rows = len(next(iter(chunk.values())))
            of_user = {
                name: np.repeat(values[user : user + 1], rows, axis=0) for name, values in candidates.users.items()
            }
            found.append(forward({**of_user, **chunk}).numpy())
        return np.concatenate(found)

    return single


def compare(best: np.ndarray, of_ranker: np.ndarray | None, candidates: Candidates) -> dict[str, Any]:
    """Agreement of a model's best items with those of a ranking model.

    Args:
        best: of the model, from :func:`top_items`.
        of_ranker: of the ranking model; None if the model is the ranking model itself.
        candidates: the users, their positives and the catalogue.

    Returns:
        `overlap@K`, the mean over the users of the share of the ranking model's best K that is among the model's (None
        without `of_ranker`); `recall@K`, the mean over the users with a positive of the share of their positives among
        the model's best K (None if there is no such user); `unseen@K`, the mean over the users of the share of unseen
        items among the model's best K; `users`, `users_with_positives`, `items`, `unseen_items`.
    """
    with_positives = [user for user, found in enumerate(candidates.positives) if len(found)]
    results: dict[str, Any] = {
        "users": candidates.user_count,
        "users_with_positives": len(with_positives),
        "items": candidates.item_count,
        "unseen_items": int(candidates.unseen.sum()),
    }
    for k in CUTOFFS:
        overlap = None
        if of_ranker is not None:
            overlap = _mean(_share(best[user, :k], of_ranker[user, :k]) for user in range(candidates.user_count))
        results[f"overlap@{k}"] = overlap
        results[f"recall@{k}"] = _mean(_share(best[user, :k], candidates.positives[user]) for user in with_positives)
        items = [found[found != NOT_AN_ITEM] for found in best[:, :k]]
        results[f"unseen@{k}"] = _mean(candidates.unseen[found].mean() for found in items if len(found))
    return results


def _share(found: np.ndarray, wanted: np.ndarray) -> float:
    wanted = wanted[wanted != NOT_AN_ITEM]
    return float(np.isin(wanted, found).mean()) if len(wanted) else 1.0


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
