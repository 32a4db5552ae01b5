"""Items drawn for rows of the training part, none of them known only later than the row.

Items of other rows of a batch are drawn in :mod:`training.assembly`, with the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.item_states import NEVER, Counts
from training.row_keys import RowKeys

Origin = Literal["catalogue", "popularity", "request"]


@dataclass(frozen=True)
class Drawn:
    """Candidates (m,) for rows.

    Attributes:
        items: int32, numbers of the items; the row's own where there is none to draw.
        log_q: float32, log probability that the draw gives the item.
        kept: bool, false for an accidental hit: the row's own item, an item that the user has as a positive of the
            training part by then, or none at all.
    """

    items: np.ndarray
    log_q: np.ndarray
    kept: np.ndarray


class Candidates:
    """Draws items for training rows.

    - `catalogue`: uniform over the items that have a training row at the row's time or before it.
    - `popularity`: the item of a training row, drawn uniformly from those strictly before the row's time. So an item's
      probability is its share of them.
    - `request`: the item of another row of the same request, drawn uniformly. A positive of the request is a hit.

    Args:
        keys: of the training rows.
        first: int64 (items,), time of each item's first training row.
    """

    def __init__(self, keys: RowKeys, first: np.ndarray):
        self._keys = keys
        self._items = len(first)
        by_first = np.argsort(first, kind="stable")
        self._by_first = by_first[: int((first != NEVER).sum())].astype(np.int32)
        self._first_of, self._first = first, first[self._by_first]
        by_time = np.argsort(keys.times, kind="stable")
        self._times, self._in_time = keys.times[by_time], keys.items[by_time]
        self._counts = Counts(keys.items, keys.times)
        self._positives, self._since = self._liked()
        if keys.requests is not None:
            self._by_request = np.argsort(keys.requests, kind="stable")
            self._starts = np.concatenate([[0], np.cumsum(np.bincount(keys.requests))])

    def _liked(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of a user and a positive item, ascending, and when each first was one."""
        positive = self._keys.labels == 1
        pairs = self._pairs(self._keys.users[positive], self._keys.items[positive])
        order = np.lexsort((self._keys.times[positive], pairs))
        found, rows = np.unique(pairs[order], return_index=True)
        return found, self._keys.times[positive][order][rows]

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return users.astype(np.int64) * self._items + items

    def hits(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether `items` (m,) are those of the rows at places `rows` (m,), or known positives of their users."""
        pairs = self._pairs(self._keys.users[rows], items)
        places = np.minimum(np.searchsorted(self._positives, pairs), max(len(self._positives) - 1, 0))
        if len(self._positives):
            liked = (self._positives[places] == pairs) & (self._since[places] <= self._keys.times[rows])
        else:
            liked = np.zeros(len(rows), bool)
        return liked | (items == self._keys.items[rows])

    def known(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether `items` (m,) have a training row at the time of the rows at places `rows` (m,) or before it."""
        return self._first_of[items] <= self._keys.times[rows]

    def draw(self, origin: Origin, rows: np.ndarray, rng: np.random.Generator) -> Drawn:
        """An item for each of `rows` (m,), places of training rows."""
        items, log_q, found = getattr(self, f"_from_{origin}")(rows, rng)
        items = np.where(found, items, self._keys.items[rows]).astype(np.int32)
        log_q = np.where(found, log_q, 0.0).astype(np.float32)
        return Drawn(items, log_q, found & ~self.hits(rows, items))

    def _from_catalogue(self, rows: np.ndarray, rng: np.random.Generator) -> tuple:
        alive = np.searchsorted(self._first, self._keys.times[rows], side="right")
        return self._by_first[rng.integers(0, alive)], -np.log(alive), np.ones(len(rows), bool)

    def _from_popularity(self, rows: np.ndarray, rng: np.random.Generator) -> tuple:
        times = self._keys.times[rows]
        earlier = np.searchsorted(self._times, times)
        items = self._in_time[rng.integers(0, np.maximum(earlier, 1))]
        return items, self.log_earlier_shares(items, times), earlier > 0

    def _from_request(self, rows: np.ndarray, rng: np.random.Generator) -> tuple:
        assert self._keys.requests is not None
        requests = self._keys.requests[rows]
        starts = self._starts[requests]
        others = self._starts[requests + 1] - starts - 1
        drawn = self._by_request[starts + rng.integers(0, np.maximum(others, 1))]
        last = self._by_request[self._starts[requests + 1] - 1]
        drawn = np.where(drawn == rows, last, drawn)  # so each of the other rows has the same chance
        found = (others > 0) & (self._keys.labels[drawn] != 1)
        return self._keys.items[drawn], -np.log(np.maximum(others, 1)), found

    def log_earlier_shares(self, items: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Log probability (m,) float32 that a random training row before `times` (m,) has each of `items` (m,).

        An item without such a row counts one.
        """
        counts, _ = self._counts.before(items, times)
        earlier = np.searchsorted(self._times, times)
        return np.log(np.maximum(counts, 1) / np.maximum(earlier, 1)).astype(np.float32)

    def log_shares(self, items: np.ndarray) -> np.ndarray:
        """Log probability (m,) float32 that a random training row has each of `items` (m,)."""
        if not hasattr(self, "_shares"):
            counts = np.bincount(self._keys.items, minlength=self._items)
            self._shares = np.log(np.maximum(counts, 1) / len(self._keys.items)).astype(np.float32)
        return self._shares[items]
