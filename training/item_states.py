"""The item's side of a row as it would be for any item at any time, and nothing from later."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq

from preprocess.prepared import PreparedData
from preprocess.splits import PARTS, TRAIN
from preprocess.state import PRIOR_ROWS
from training.batches import read_columns
from training.packing import Layout, Rows

NEVER = np.iinfo(np.int64).max
"""The time of what never happens."""


class Counts:
    """How many rows of an item there are before a time, and how much of something they have together.

    Args:
        items: int (n,), number of each row's item, from 0 on.
        times: int64 (n,).
        amounts: int (n,), what each row has.
    """

    def __init__(self, items: np.ndarray, times: np.ndarray, amounts: np.ndarray | None = None):
        self._moments, ranks = np.unique(times, return_inverse=True)
        keys = items.astype(np.int64) * (len(self._moments) + 1) + ranks
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._sums = np.zeros(len(keys) + 1, np.int64)
        if amounts is not None:
            np.cumsum(amounts[order], out=self._sums[1:])

    def before(self, items: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows, and the sum of their amounts, of `items` (m,) strictly before `times` (m,), int64 (m,) each."""
        first = items.astype(np.int64) * (len(self._moments) + 1)
        start = np.searchsorted(self._keys, first)
        end = np.searchsorted(self._keys, first + np.searchsorted(self._moments, times))
        return end - start, self._sums[end] - self._sums[start]


class ItemStates:
    """Packed fields of the item's side for any items at any times.

    Static fields come from a training row of the item. The mean label is that of the protocol as of the time: over the
    labelled rows of the item strictly before it, of all parts if the state is online, and of the training part if it is
    frozen; with the leak `target_mean` it is that of the item's training rows. A field of the context belongs to the
    row that asks.

    Args:
        data: the prepared data.

    Attributes:
        layout: of the packed fields.
        first: int64 (items,), time of each item's first training row; :data:`NEVER` for an item without one.
        vary: whether an item's fields are others at another time, or for another row that asks.
    """

    def __init__(self, data: PreparedData):
        spec = data.spec
        self.layout = Layout.of(spec.side("item"), spec.label)
        self._integers, self._floats, self.first = self._static(data)
        self._own_integers = [
            slice(start, stop) for field, start, stop in self.layout.indices if field.name in spec.context
        ]
        self._own_floats = [place for place, field in enumerate(self.layout.dense) if field.name in spec.context]
        self._mean = None
        if spec.item_mean is not None and "target_mean" not in data.manifest["options"]["leaks"]:
            self._mean = spec[spec.item_mean]
            self._counts, self._prior = self._labelled(data)
        self.vary = self._mean is not None or bool(self._own_integers or self._own_floats)

    def _static(self, data: PreparedData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The packed fields of a training row of each item, and the time of the first."""
        item_group, timestamp = (data.spec.beside(name) for name in ("item_group", "timestamp"))
        count = 1 + max(int(read_columns(data, part, [item_group])[item_group].max(initial=-1)) for part in PARTS)
        integers = np.zeros((count, self.layout.width), np.int32)
        floats = np.zeros((count, len(self.layout.dense)), np.float32)
        first, known = np.full(count, NEVER), np.zeros(count, bool)
        names = [*self.layout.names, self.layout.label, item_group, timestamp]
        for path in data.parts(PARTS[TRAIN]):
            table = pq.read_table(path, columns=names)
            items = table[item_group].to_numpy()
            np.minimum.at(first, items, table[timestamp].to_numpy())
            found, rows = np.unique(items, return_index=True)
            new = ~known[found]
            packed = self.layout.pack(table.take(rows[new]))
            integers[found[new]], floats[found[new]] = packed[0], packed[1][:, :-1]
            known[found] = True
        return integers, floats, first

    def _labelled(self, data: PreparedData) -> tuple[Counts, tuple[int, int]]:
        """The counts behind the means, and positives and rows of the training part."""
        spec = data.spec
        names = [spec.first_label, spec.beside("item_group"), spec.beside("timestamp")]
        online = data.manifest["options"]["state"] == "online"
        found = [read_columns(data, part, names) for part in (PARTS if online else PARTS[:1])]
        labels, items, times = (np.concatenate([columns[name] for columns in found]) for name in names)
        of_training = found[0][spec.first_label]
        labelled = labels >= 0
        counts = Counts(items[labelled], times[labelled], labels[labelled].astype(np.int64))
        return counts, (int((of_training == 1).sum()), int((of_training >= 0).sum()))

    def packed(self, items: np.ndarray, times: np.ndarray, asking: Rows) -> Rows:
        """The packed fields, int32 (m, W) and float32 (m, F), of `items` (m,) as of `times` (m,).

        Args:
            items: numbers of items that have a training row.
            times: when each is looked at.
            asking: packed fields of the item's side of the rows (m,) that ask, for the context.
        """
        integers, floats = self._integers[items], self._floats[items]
        for columns in self._own_integers:
            integers[:, columns] = asking[0][:, columns]
        for place in self._own_floats:
            floats[:, place] = asking[1][:, place]
        if self._mean is not None:
            place = self.layout.dense.index(self._mean)
            floats[:, place] = self._scaled_mean(items, times)
        return integers, floats

    def _scaled_mean(self, items: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The mean labels as :func:`preprocess.state.mean_label` has them, scaled as :class:`Layout` does."""
        rows, positives = self._counts.before(items, times)
        prior_positives, prior_rows = self._prior
        above = positives * prior_rows + PRIOR_ROWS * prior_positives
        below = (rows + PRIOR_ROWS) * prior_rows
        means = (above.astype(np.float64) / below.astype(np.float64)).astype(np.float32).astype(np.float64)
        assert self._mean is not None
        return (means - self._mean.mean) / self._mean.scale
