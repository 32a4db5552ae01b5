"""What a training batch has beside its rows: candidates, lists, weights, a teacher's logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.candidates import Candidates, Drawn
from training.dataset import Assembled, Share
from training.item_states import ItemStates
from training.list_batches import places_within
from training.packing import Layout, Rows
from training.row_keys import RowKeys

Score = Callable[[Mapping[str, np.ndarray], np.ndarray, np.ndarray], np.ndarray]
"""A teacher's logits (P,) of pairs, given features by name and the places of the pairs' users and items."""
_CANDIDATES = 1


@dataclass(frozen=True)
class Draws:
    """How candidates are drawn.

    Attributes:
        count: candidates of each row, K.
        origin: "batch", or where :class:`Candidates` draws from.
        candidates: draws them, and tells accidental hits.
        states: gives their fields as of the row's time.
        mask: masks ids of drawn items at the rate at which those of rows are masked, in place.
    """

    count: int
    origin: Literal["catalogue", "popularity", "batch", "request"]
    candidates: Candidates
    states: ItemStates
    mask: Callable[[np.ndarray, Layout, np.random.Generator], None]


class BatchAssembly:
    """Makes a :class:`models.batch.Batch` of packed rows of the training part.

    The pairs are the R rows, and then the K candidates of each row in turn. Without `lists`, each list is a row and its
    candidates, if there are any. With `lists`, it is all rows of a list that are in the batch, and their candidates. An
    accidental hit is in no list and has weight 0; so has, in a list of several rows, a candidate that is a positive of
    the list.

    Args:
        layout: of the packed rows.
        item_layout: of the fields of drawn items.
        keys: of the training rows.
        lists: int (n,), the list of each training row; None for lists of one row and its candidates.
        draws: how candidates are drawn; None for none.
        teacher: float32 (n,), a teacher's logits of the training rows; None for those that the data have.
        score: a teacher's logits of candidates; None for none.
    """

    def __init__(
        self,
        layout: Layout,
        item_layout: Layout,
        keys: RowKeys,
        lists: np.ndarray | None = None,
        draws: Draws | None = None,
        teacher: np.ndarray | None = None,
        score: Score | None = None,
    ):
        self.item_layout = item_layout
        self.takes_unmasked = score is not None
        self._layout = layout
        self._keys = keys
        self._lists = lists
        self._draws = draws
        self._teacher = keys.teacher if teacher is None else teacher
        self._score = score

    def labelled(self, rows: Rows) -> np.ndarray:
        """How much each row (n,) counts in a loss over labels: its weight, 0 without a label."""
        places = rows[0][:, -1]
        return np.where(self._keys.unlabelled[places], 0.0, self._keys.weights[places])

    def bounds(self, rows: Rows, share: Share) -> list[tuple[int, int]]:
        """Where the slice of each replica of a share begins and ends in a batch, none of which cuts a list."""
        if self._lists is None:
            return share.bounds(len(rows[0]))
        starts = [*np.flatnonzero(_begins(self._lists[rows[0][:, -1]])), len(rows[0])]
        return [(starts[first], starts[last]) for first, last in share.bounds(len(starts) - 1)]

    def __call__(self, rows: Rows, key: tuple[int, ...]) -> Assembled:
        """What goes with a slice of a batch; a function of the slice and of `key`, which no other slice has."""
        places = rows[0][:, -1]
        rng = np.random.default_rng([*key, _CANDIDATES])
        owner = np.repeat(np.arange(len(places)), self._draws.count if self._draws else 0)
        drawn, items, unmasked, log_q = self._drawn(rows, places, owner, rng)
        fields = self._masked(unmasked, rng)
        kept = drawn.kept
        if self._lists is not None:
            lists = np.cumsum(_begins(self._lists[places]), dtype=np.int64) - 1
            kept = kept & ~self._in_list(lists, places, owner, drawn.items)
        else:
            lists = np.arange(len(places))
        keys, nothing = self._keys, np.full(len(owner), np.nan, np.float32)
        own = np.arange(len(places), dtype=np.int32)
        users, of_items = np.concatenate([own, own[owner]]), np.concatenate([own, items.astype(np.int32)])
        weights = keys.weights[places]
        return Assembled(
            integers=fields[0],
            floats=fields[1],
            users=users,
            items=of_items,
            labels=np.concatenate([keys.labels[places], nothing]),
            weights=np.concatenate([weights, np.where(kept, weights[owner], 0.0).astype(np.float32)]),
            teacher=np.concatenate([self._teacher[places], self._scores(rows, unmasked, own[owner], items)]),
            stages=np.concatenate([keys.stages[places], np.zeros(len(owner), np.int32)]),
            log_q=log_q,
            lists=self._padded(np.concatenate([lists, lists[owner]]), np.concatenate([own >= 0, kept])),
            task_labels=keys.labels_of_tasks[places],
        )

    def _drawn(
        self, rows: Rows, places: np.ndarray, owner: np.ndarray, rng: np.random.Generator
    ) -> tuple[Drawn, np.ndarray, Rows, np.ndarray]:
        """The candidates of rows `owner` (D,), their places among the batch's items, and fields of new ones, unmasked.

        The last is log_q (I,) of all items.
        """
        draws, count = self._draws, len(places)
        none = np.zeros((0, self.item_layout.width), np.int32), np.zeros((0, len(self.item_layout.dense)), np.float32)
        if draws is None:
            nobody = Drawn(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, bool))
            return nobody, np.zeros(0, np.int64), none, np.zeros(count, np.float32)
        shares = self._log_shares(draws, places)
        asking = places[owner]
        if draws.origin == "batch":
            others = (owner + rng.integers(1, max(count, 2), len(owner))) % count
            items = self._keys.items[places[others]]
            kept = (others != owner) & draws.candidates.known(asking, items) & ~draws.candidates.hits(asking, items)
            drawn = Drawn(items, shares[others], kept)
            if not draws.states.vary:  # the other row's fields are those of any time, and are encoded already
                return drawn, others, none, shares
        else:
            drawn = draws.candidates.draw(draws.origin, asking, rng)
        packed = draws.states.packed(drawn.items, self._keys.times[asking], self._item_side(rows, owner))
        return drawn, count + np.arange(len(owner)), packed, np.concatenate([shares, drawn.log_q])

    def _masked(self, fields: Rows, rng: np.random.Generator) -> Rows:
        """Fields of drawn items with ids masked, as those of rows are."""
        if self._draws is None or not len(fields[0]):
            return fields
        integers = fields[0].copy()
        self._draws.mask(integers, self.item_layout, rng)
        return integers, fields[1]

    def _log_shares(self, draws: Draws, places: np.ndarray) -> np.ndarray:
        """log_q (R,) of the items of the rows themselves, of the same kind as that of candidates by popularity."""
        items, times = self._keys.items[places], self._keys.times[places]
        if draws.origin == "popularity":
            return draws.candidates.log_earlier_shares(items, times)
        return draws.candidates.log_shares(items)

    def _item_side(self, rows: Rows, owner: np.ndarray) -> Rows:
        """The packed fields of the item's side of rows, for each of `owner` (D,), unmasked if rows come so."""
        first = self._layout.width if self.takes_unmasked else 0
        names = [field.name for field, *_ in self.item_layout.indices]
        spans = [slice(start, stop) for field, start, stop in self._layout.indices if field.name in names]
        dense = [place for place, field in enumerate(self._layout.dense) if field in self.item_layout.dense]
        columns = [first + column for span in spans for column in range(span.start, span.stop)]
        return rows[0][owner][:, columns], rows[1][owner][:, dense]

    def _in_list(self, lists: np.ndarray, places: np.ndarray, owner: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether candidates (D,) are positives of the list of their row."""
        count = int(self._keys.items.max()) + 1
        positive = self._keys.labels[places] == 1
        known = lists[positive] * count + self._keys.items[places[positive]]
        return np.isin(lists[owner] * count + items, known)

    def _scores(self, rows: Rows, fields: Rows, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """A teacher's logits of candidates, by ids that are not masked, as its logits of rows are."""
        if self._score is None or not len(users):
            return np.full(len(users), np.nan, np.float32)
        width = self._layout.width
        features = self._layout.fields(rows[0][:, width : 2 * width], rows[1])
        for name, values in self.item_layout.fields(*fields).items():
            features[name] = np.concatenate([features[name], values])
        return self._score(features, users, items)

    def _padded(self, lists: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Places among the pairs (G, N) of each list's kept pairs, rows before candidates; -1 for none."""
        if self._lists is None and self._draws is None:
            return np.zeros((0, 0), np.int32)
        pairs = np.flatnonzero(kept)
        pairs = pairs[np.argsort(lists[pairs], kind="stable")]
        sizes = np.bincount(lists[pairs], minlength=int(lists.max()) + 1)
        padded = np.full((len(sizes), int(sizes.max())), -1, np.int32)
        padded[np.repeat(np.arange(len(sizes)), sizes), places_within(sizes)] = pairs
        return padded


def _begins(lists: np.ndarray) -> np.ndarray:
    """Whether a list begins at each of rows whose lists are `lists` (R,)."""
    return np.concatenate([[True], lists[1:] != lists[:-1]])
