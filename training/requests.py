"""The requests that a pre-ranking model is judged on: users as of their time, and the catalogue they choose from.

A request of a part is the user's first moment in it or, where the data have a `request` column, one of its requests.
The user is as of that time. Items are all that have a row in the part or before, each as at the first of its rows in
the part, or, if it has none, the last of its rows before. Items that the user has in the training part are left out.

So where the split is by time, `strict` lets no label of the part reach an item, and only labels from before the request
reach a user. At the first row of an item in the part its mean counts its labels before the part, as none lies between.
Two things may be of a later time than a request. A context field of the item's side has its value of the item's first
row. And under `--split user_time` the parts overlap in time, so an item's mean may count other users' labels that are
later than a request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features import RESERVED, UNLABELLED, Field
from preprocess.prepared import PreparedData
from preprocess.splits import PARTS
from training.batches import Batches, read_columns

_SEED = 20_250_102
_RECENT = 0.1
_STRATA = 3

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Requests:
    """Requests and the catalogue.

    Attributes:
        users: inputs of the user side, by field name, leading axis R.
        items: inputs of the item side, leading axis N.
        groups: number of each request's user. Shape (R,), int.
        left_out: of each request the places in the catalogue of the training part's items of its user. Length R.
        positives: of each request the places of its user's positives from its time on, less what is left out.
        training_rows: how many labelled rows of the training part each item has. Shape (N,), int64.
        recent_rows: the same within the last tenth of the training part's time. Shape (N,), int64.
        unseen: which items have no row in the training part, or no id of their own. Shape (N,), bool.
        user_lines, item_lines: the data line of the raw file that each user's and item's inputs are of. Shapes (R,)
            and (N,), int64.
    """

    users: Inputs
    items: Inputs
    groups: np.ndarray
    left_out: list[np.ndarray]
    positives: list[np.ndarray]
    training_rows: np.ndarray
    recent_rows: np.ndarray
    unseen: np.ndarray
    user_lines: np.ndarray
    item_lines: np.ndarray

    @classmethod
    def of(cls, data: PreparedData, part: str, count: int, by_user: bool = False) -> "Requests":
        """Draw requests of a part, the same ones every time.

        Args:
            data: the data set.
            part: "validation" or "test".
            count: how many; all, if there are no more.
            by_user: a request is a user's first moment in the part, whatever columns the data have.
        """
        if part not in PARTS[1:]:
            raise ValueError(f"a cascade is judged on {' or '.join(PARTS[1:])}. Received: {part}")
        parts = {name: _Rows.of(data, name) for name in PARTS[: PARTS.index(part) + 1]}
        train, judged = parts["train"], parts[part]
        first = _first_moments(judged, by_user, count)
        groups, moments = judged.group[first], judged.timestamp[first]
        numbers, items, lines = _catalogue(data, parts, part)
        left_out = _items_of(groups, numbers, train.keep(train.labelled))
        later = _items_of(groups, numbers, judged.keep(judged.label == 1), moments)
        counted = train.keep(train.labelled)
        return cls(
            users=_fields(data, part, data.spec.side("user"), first),
            items=items,
            groups=groups,
            left_out=left_out,
            positives=[np.setdiff1d(found, known) for found, known in zip(later, left_out, strict=True)],
            training_rows=counted.per_item(numbers),
            recent_rows=counted.recent().per_item(numbers),
            unseen=(items[data.spec.item_id] < RESERVED) | ~np.isin(numbers, train.item_group),
            user_lines=judged.row[first],
            item_lines=lines,
        )

    @property
    def count(self) -> int:
        """How many requests there are."""
        return len(self.left_out)

    @property
    def item_count(self) -> int:
        """How many items the catalogue has."""
        return len(next(iter(self.items.values())))

    def strata(self) -> np.ndarray:
        """The popularity stratum of each item: 0 head, 1 middle, 2 tail. Shape (N,), int64.

        The items with the most training rows that together hold a third of all such rows are the head, those that
        hold the next third the middle. An item belongs where its first row lies.
        """
        order = np.argsort(-self.training_rows, kind="stable")
        rows = self.training_rows[order]
        before = np.cumsum(rows) - rows
        found = np.full(len(order), _STRATA - 1)
        if total := rows.sum():
            found[order] = np.minimum(before * _STRATA // total, _STRATA - 1)
        found[self.training_rows == 0] = _STRATA - 1
        return found

    def sampled(self, items: int) -> "Requests":
        """The same requests on a part of the catalogue: a sample stratified by popularity, and all positives.

        Args:
            items: about how many items to keep, as many of each stratum as can be; all, if there are no more.
        """
        if self.item_count <= items:
            return self
        random, strata = np.random.default_rng(_SEED), self.strata()
        drawn: list[np.ndarray] = []
        for stratum in range(_STRATA):  # what the head, of few items, does not fill is left to the others
            size = (items - sum(map(len, drawn))) // (_STRATA - stratum)
            drawn.append(random.permutation(np.flatnonzero(strata == stratum))[:size])
        kept = np.unique(np.concatenate([*drawn, *self.positives]))
        return replace(
            self,
            items={name: values[kept] for name, values in self.items.items()},
            left_out=[_places_in(kept, found) for found in self.left_out],
            positives=[_places_in(kept, found) for found in self.positives],
            training_rows=self.training_rows[kept],
            recent_rows=self.recent_rows[kept],
            unseen=self.unseen[kept],
            item_lines=self.item_lines[kept],
        )


def _places_in(kept: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isin(kept, places))


@dataclass(frozen=True)
class _Rows:
    """The columns of a part that say who met which item, when, and how. Shapes (rows,)."""

    group: np.ndarray
    item_group: np.ndarray
    timestamp: np.ndarray
    label: np.ndarray
    row: np.ndarray
    request: np.ndarray | None

    @classmethod
    def of(cls, data: PreparedData, part: str) -> "_Rows":
        spec = data.spec
        has_requests = "request" in spec.row_columns
        beside = ["group", "item_group", "timestamp", "row", *(["request"] if has_requests else [])]
        columns = read_columns(data, part, [spec.label, *map(spec.beside, beside)])
        return cls(
            group=columns[spec.beside("group")],
            item_group=columns[spec.beside("item_group")],
            timestamp=columns[spec.beside("timestamp")],
            label=columns[spec.label],
            row=columns[spec.beside("row")],
            request=columns[spec.beside("request")] if has_requests else None,
        )

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label."""
        return self.label != UNLABELLED

    def keep(self, rows: np.ndarray) -> "_Rows":
        """Some of the rows."""
        return _Rows(
            group=self.group[rows],
            item_group=self.item_group[rows],
            timestamp=self.timestamp[rows],
            label=self.label[rows],
            row=self.row[rows],
            request=None if self.request is None else self.request[rows],
        )

    def recent(self) -> "_Rows":
        """The rows of the last tenth of the time that these rows span."""
        first, last = (self.timestamp.min(), self.timestamp.max()) if len(self.timestamp) else (0, 0)
        return self.keep(self.timestamp >= last - _RECENT * (last - first))

    def per_item(self, numbers: np.ndarray) -> np.ndarray:
        """How many rows each item of `numbers`, ascending, has."""
        return np.bincount(np.searchsorted(numbers, self.item_group), minlength=len(numbers))


def _first_moments(rows: _Rows, by_user: bool, count: int) -> np.ndarray:
    """The first row in time of each of `count` requests."""
    keys = rows.group if by_user or rows.request is None else rows.request
    distinct, first = _first(keys, rows.timestamp)
    return first[np.sort(np.random.default_rng(_SEED).permutation(len(distinct))[:count])]


def _first(keys: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, ascending, and the row of each that is first in time."""
    order = np.argsort(timestamps, kind="stable")
    distinct, place = np.unique(keys[order], return_index=True)
    return distinct, order[place]


def _catalogue(data: PreparedData, parts: Mapping[str, _Rows], part: str) -> tuple[np.ndarray, Inputs, np.ndarray]:
    """The numbers of all items, ascending, their inputs as the module says, and the raw lines that these are of."""
    before = [name for name in parts if name != part]
    bounds = np.cumsum([0, *(len(parts[name].row) for name in before)])
    item_group = np.concatenate([parts[name].item_group for name in before])
    timestamp = np.concatenate([parts[name].timestamp for name in before])
    known, last = _first(item_group[::-1], -timestamp[::-1])
    last = len(timestamp) - 1 - last
    judged, first = _first(parts[part].item_group, parts[part].timestamp)
    sources = []
    for place, name in enumerate(before):
        mine = (last >= bounds[place]) & (last < bounds[place + 1])
        sources.append((name, known[mine], last[mine] - bounds[place]))
    sources.append((part, judged, first))  # these replace what an item was before
    numbers = np.union1d(known, judged)
    inputs: dict[str, np.ndarray] = {}
    lines = np.zeros(len(numbers), np.int64)
    for name, found, rows in sources:
        at = np.searchsorted(numbers, found)
        lines[at] = parts[name].row[rows]
        for field, column in _fields(data, name, data.spec.side("item"), rows).items():
            inputs.setdefault(field, np.zeros((len(numbers), *column.shape[1:]), column.dtype))[at] = column
    return numbers, inputs, lines


def _fields(data: PreparedData, part: str, fields: Sequence[Field], rows: np.ndarray) -> Inputs:
    names = [field.name for field in fields]
    columns = Batches(data, part, 1).columns(names)
    return {name: columns[name][rows] for name in names}


def _items_of(
    groups: np.ndarray, numbers: np.ndarray, rows: _Rows, moments: np.ndarray | None = None
) -> list[np.ndarray]:
    """Of each request the distinct places in `numbers` of its user's items, ascending; from its moment on, if given."""
    order = np.argsort(rows.group, kind="stable")
    users, places = rows.group[order], np.searchsorted(numbers, rows.item_group[order])
    starts, stops = np.searchsorted(users, groups, "left"), np.searchsorted(users, groups, "right")
    found = []
    for request, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        mine = places[start:stop]
        if moments is not None:
            mine = mine[rows.timestamp[order[start:stop]] >= moments[request]]
        found.append(np.unique(mine))
    return found
