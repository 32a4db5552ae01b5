"""The last entries of a user's sequence that each row may know.

Sequences are laid out one after another in a file, and a row's list is a slice of it, cut out when the row is written:
so rows are joined and sorted without their lists, and neither memory nor time grow with the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from preprocess.engines import Engine

SEQUENCE, END = "_sequence_{}", "_end_{}"
"""Names of the columns of rows that say which sequence a row knows, and how many of its entries, the first ones."""
EVERYTHING = (1 << 31) - 1
"""As an end: all entries that the sequence has."""
_ROWS = 1 << 20


@dataclass(frozen=True)
class Sequences:
    """Sequences with several values an entry, and how many of its last entries a row takes.

    Attributes:
        name: names the columns :data:`SEQUENCE` (int32, from 0) and :data:`END` (int32) of the rows.
        entries: an entry a line: the sequence's number, named as in the rows; the columns of `order`; and an int32
            column for each name of `fields`.
        order: columns that bring the entries of a sequence into a total order.
        fields: names of the fields whose lists are made; each has a column of `entries` of its name.
        length: most entries that a row takes, at least 1.
    """

    name: str
    entries: ir.Table
    order: tuple[str, ...]
    fields: tuple[str, ...]
    length: int

    @property
    def columns(self) -> tuple[str, str]:
        """The two columns of the rows."""
        return SEQUENCE.format(self.name), END.format(self.name)


class Store:
    """Sequences on disk. See :func:`laid_out`.

    Args:
        sequences: what they are.
        starts: where each sequence starts; one more for the end of the last. Shape (sequences + 1,), int64.
        values: the entries of all sequences, by field. Each of shape (entries,), int32.
    """

    def __init__(self, sequences: Sequences, starts: np.ndarray, values: dict[str, np.ndarray]):
        self.sequences = sequences
        self._starts = starts
        self._values = values

    def lists(self, sequence: np.ndarray, end: np.ndarray) -> dict[str, pa.ListArray]:
        """By field the list of each row: the last entries before its end, oldest first.

        Args:
            sequence: number of the sequence that a row knows; one without an entry may be larger than any that has
                one. Shape (n,).
            end: how many of its entries, the first ones, a row knows. Shape (n,).

        Returns:
            Arrays of n lists of int32.
        """
        known = np.minimum(sequence, len(self._starts) - 2)
        size = np.where(sequence == known, self._starts[known + 1] - self._starts[known], 0)
        end = np.minimum(end, size).astype(np.int64)
        lengths = np.minimum(end, self.sequences.length)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # element i of all lists is entry i + shift of the file, with a shift for each row
        shift = self._starts[known] + end - offsets[1:]
        places = np.arange(offsets[-1]) + np.repeat(shift, lengths)
        return {
            name: pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values[places]))
            for name, values in self._values.items()
        }


@contextmanager
def laid_out(engine: Engine, sequences: Sequences, folder: Path) -> Iterator[Store]:
    """Lay sequences out in files of a folder, for as long as the context lasts.

    Args:
        engine: computes and streams the entries.
        sequences: what they are.
        folder: a new folder; it is removed at the end.
    """
    number, _ = sequences.columns
    ordered = sequences.entries.order_by([number, *sequences.order]).select(number, *sequences.fields)
    sizes = np.zeros(1, np.int64)
    folder.mkdir()
    paths = {name: folder / f"{place}.int32" for place, name in enumerate(sequences.fields)}
    try:
        files = {name: path.open("wb") for name, path in paths.items()}
        try:
            for batch in engine.batches(ordered, _ROWS):
                for name, file in files.items():
                    file.write(batch[name].to_numpy().astype(np.int32, copy=False))
                counts = np.bincount(batch[number].to_numpy(), minlength=len(sizes))
                counts[: len(sizes)] += sizes
                sizes = counts
        finally:
            for file in files.values():
                file.close()
        starts = np.concatenate([[0], np.cumsum(sizes)])
        yield Store(sequences, starts, {name: _mapped(path) for name, path in paths.items()})
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
        folder.rmdir()


def _mapped(path: Path) -> np.ndarray:
    return np.memmap(path, np.int32, mode="r") if path.stat().st_size else np.empty(0, np.int32)
