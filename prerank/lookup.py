"""Where ids lie in an index."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Odd, so that integers that differ have products of 64 bits that differ."""
_SLOTS = 4
"""Least slots of a table for each of its ids."""


class Lookup(Protocol):
    """Finds ids. Never changes, so that threads may share it."""

    def positions(self, wanted: np.ndarray) -> np.ndarray:
        """Where each of the ids (N,) lies, (N,) int64, -1 for one that is unknown."""
        ...


def lookup_of(ids: np.ndarray) -> Lookup:
    """A look-up of ids (N,), int64 or text, which is kept as it is; of equal ids one is found."""
    return IntegerLookup(ids) if ids.dtype.kind == "i" else TextLookup(ids)


class IntegerLookup:
    """Int64 ids by two hash tables and bisection.

    A table has one place a slot. Of ids that share a slot the last is in the first table, the others, about a tenth,
    go into the second, and what shares a slot there is sorted. So every id is found by the same few array operations,
    whatever the ids are.
    """

    def __init__(self, ids: np.ndarray):
        self._ids = ids
        rows = np.arange(len(ids), dtype=np.int32 if len(ids) < 1 << 31 else np.int64)
        self._tables = []
        for multiplier in _MULTIPLIERS:
            table = _Table(ids, rows, multiplier)
            self._tables.append(table)
            rows = rows[table.find(ids[rows]) != rows]
        self._rest = rows[np.argsort(ids[rows])]
        self._sorted = ids[self._rest]

    def positions(self, wanted: np.ndarray) -> np.ndarray:
        """See :class:`Lookup`."""
        if not len(self._ids):
            return np.full(len(wanted), -1)
        first, second = self._tables
        found = first.find(wanted)
        left = self._others(found, wanted)
        if not len(left):
            return found
        wanted = wanted.take(left)
        rows = second.find(wanted)
        unfound = self._others(rows, wanted)
        if len(unfound):
            rows[unfound] = self._bisect(wanted.take(unfound))
        found[left] = rows
        return found

    def _others(self, rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Where another id has the slot. Where none has it, -1, the id is unknown."""
        wrong = (self._ids.take(rows) != wanted).nonzero()[0]
        return wrong[rows.take(wrong) >= 0]

    def _bisect(self, wanted: np.ndarray) -> np.ndarray:
        if not len(self._rest):
            return np.full(len(wanted), -1)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._rest) - 1)
        return np.where(self._sorted[place] == wanted, self._rest[place], -1)


class _Table:
    """The rows of ids by slot, -1 where a slot is free."""

    def __init__(self, ids: np.ndarray, rows: np.ndarray, multiplier: int):
        bits = max(1, (_SLOTS * len(rows)).bit_length())
        self._multiplier, self._shift = np.uint64(multiplier), np.uint64(64 - bits)
        self._rows = np.full(1 << bits, -1, rows.dtype)
        self._rows[self._slots(ids[rows])] = rows

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """The row in the slot of each id, int64."""
        return self._rows.take(self._slots(wanted)).astype(np.int64)

    def _slots(self, wanted: np.ndarray) -> np.ndarray:
        return (wanted.view(np.uint64) * self._multiplier >> self._shift).view(np.int64)


class TextLookup:
    """Texts by their hash of 64 bits, compared with the text that has it.

    Args:
        ids: (N,) texts.
        hashed: the hash of a text, another for another process or not.
    """

    def __init__(self, ids: np.ndarray, hashed: Callable[[str], int] = hash):
        self._ids, self._hashed = ids, hashed
        words = self._words(ids)
        self._lookup = IntegerLookup(words)
        # where several texts have one hash, the look-up finds one of them
        hidden = np.flatnonzero(self._lookup.positions(words) != np.arange(len(ids)))
        self._hidden = {str(ids[row]): int(row) for row in hidden}

    def positions(self, wanted: np.ndarray) -> np.ndarray:
        """See :class:`Lookup`."""
        wanted = wanted.astype(object, copy=False)
        found = self._lookup.positions(self._words(wanted))
        hits = np.flatnonzero(found >= 0)
        wrong = hits[self._ids[found[hits]].astype(object) != wanted[hits]]
        found[wrong] = [self._hidden.get(text, -1) for text in wanted[wrong].tolist()]
        return found

    def _words(self, texts: np.ndarray) -> np.ndarray:
        return np.fromiter(map(self._hashed, texts.tolist()), np.int64, len(texts))
