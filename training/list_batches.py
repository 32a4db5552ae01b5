"""Batches of whole lists: the rows of a request, or of a user, that lie in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from preprocess.prepared import PreparedData
from training.batches import Batches
from training.dataset import Assembly
from training.packing import Rows


class ListBatches(Batches):
    """Batches of the training part that cut no list.

    The rows of a list follow each other. A list of more than `list_size` rows is cut anew each epoch: its positives are
    kept first, and of the others a random choice. So cross-entropy then sees a larger share of positives. All batches
    have nearly as many lists as each other, and about `batch_size` rows.

    Args:
        prepared: the data set.
        batch_size: rows a batch, about.
        lists: int (n,), the list of each training row, in the order of the files.
        labels: float (n,), their labels.
        list_size: the most rows of a list.
        assembly: makes the batches; takes the places of the lists' rows.
        oov_rate, seed: as for :class:`Batches`.
    """

    def __init__(
        self,
        prepared: PreparedData,
        batch_size: int,
        lists: np.ndarray,
        labels: np.ndarray,
        list_size: int,
        assembly: Assembly,
        *,
        oov_rate: float = 0.0,
        seed: int = 0,
    ):
        super().__init__(prepared, "train", batch_size, shuffle=True, oov_rate=oov_rate, seed=seed, assembly=assembly)
        self._list_size = list_size
        self._labels = labels
        starts = [*self._starts.values(), len(lists)]
        self._grouped = [_grouped(lists[start:stop]) for start, stop in zip(starts, starts[1:], strict=False)]
        sizes = [np.minimum(np.diff(bounds), list_size) for _, bounds in self._grouped]
        self.rows = int(sum(part.sum() for part in sizes))
        self.units = sum(map(len, sizes))
        self._in_batch = max(1, round(batch_size * self.units / self.rows))

    def __len__(self) -> int:
        return -(-self.units // self._in_batch)

    def epoch(self, number: int) -> Iterator[Rows]:
        """Packed batches of epoch `number`; the same number gives the same batches."""
        rng = np.random.default_rng([self.seed, number])
        pending: list[Rows] = []
        given, held, ends = 0, 0, iter(self._ends())
        end = next(ends, 0)
        for index in rng.permutation(len(self._paths)):
            integers, floats = self._read(self._paths[index])
            lists = rng.permutation(len(self._grouped[index][1]) - 1)
            position = 0
            while position < len(lists):
                chosen = lists[position : position + end - given - held]
                rows = self._members(index, chosen, rng)
                pending.append((integers[rows], floats[rows]))
                position += len(chosen)
                held += len(chosen)
                if given + held == end:
                    yield self._finish(pending, rng)
                    pending, given, held, end = [], end, 0, next(ends, 0)

    def _members(self, index: int, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The rows of lists of a file, one list after another, at most `list_size` of each."""
        order, bounds = self._grouped[index]
        sizes = bounds[chosen + 1] - bounds[chosen]
        owner = np.repeat(np.arange(len(chosen)), sizes)
        rows = order[bounds[chosen][owner] + places_within(sizes)]
        if len(sizes) and sizes.max() > self._list_size:
            start = list(self._starts.values())[index]
            rank = rng.random(len(rows)) - (self._labels[start + rows] == 1)
            rows = rows[np.lexsort((rank, owner))]
            rows = rows[places_within(sizes) < self._list_size]
        return rows


def _grouped(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) in the order of their lists, and where each list begins, and the last one ends (lists + 1,)."""
    order = np.argsort(lists, kind="stable")
    sizes = np.unique(lists, return_counts=True)[1]
    return order, np.concatenate([[0], np.cumsum(sizes)])


def numbered_by_file(numbers: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Numbers (n,), others in each of files that follow each other, of rows with the same of `numbers` (n,) in a file.

    Args:
        numbers: int (n,), from 0 on.
        sizes: how many rows each file has; n together.
    """
    files = np.repeat(np.arange(len(sizes)), sizes)
    return files * (int(numbers.max(initial=0)) + 1) + numbers


def places_within(sizes: np.ndarray) -> np.ndarray:
    """0, 1, ..., for each of groups that follow each other and have `sizes` members."""
    starts = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) - np.repeat(starts, sizes)
