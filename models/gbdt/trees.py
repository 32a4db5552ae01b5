"""Boosted trees as arrays of numbers: what a trained `gbdt` is, on disk and in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.gbdt.array_file import ArrayKind, read_arrays, write_arrays
from prerank.errors import InputError

CATEGORIES = 255
"""How many categories a column can have: 0 to 254."""
OTHER = CATEGORIES
"""Place in a set of whatever is none of these categories: a missing value, a fraction, a number out of range."""
IN_SET, NOT_IN_SET, SET_THRESHOLD = -1.0, 0.0, -0.5
ROWS_AT_ONCE = 1024
"""Rows that are scored together: few enough for a level of all trees to stay in the processor's cache."""

_KINDS: dict[str, ArrayKind] = {
    "columns": (np.int64, 0),
    "baseline": (np.float64, 0),
    "value": (np.float64, 1),
    "split": (np.int32, 1),
    "column": (np.int32, 1),
    "threshold": (np.float32, 1),
    "set_column": (np.int32, 1),
    "sets": (np.bool_, 2),
}


class Level(NamedTuple):
    """The nodes at one depth of all trees, and the splits among them, as slices."""

    nodes: slice
    splits: slice


@dataclass(frozen=True)
class Trees:
    """T trees of N nodes in all, S of them splits, on a table of F columns.

    The nodes of all trees lie level by level: first the T roots, then what they split into, and so on. So the children
    of split k are the nodes T + 2k, on the left, and T + 2k + 1, and no tree can have a circle.

    A split sends a row to the left if its column is at most the threshold. Columns 0 to F - 1 are those of the table,
    where a missing value, NaN, goes to the right. Columns F to 2F - 1 are the same once more, with a missing value on
    the left. Column 2F + c is -1 for rows whose category is in set c, and 0 for the others.

    Attributes:
        columns: F, int64 ().
        baseline: what the values of the leaves are added to, float64 ().
        value: of each leaf, float64 (N,); 0 for splits.
        split: which nodes are splits, ascending, int32 (S,).
        column: of each split, int32 (S,).
        threshold: of each split, float32 (S,).
        set_column: column of the table that set c is about, int32 (C,).
        sets: which of 256 categories are in each set, bool (C, 256); the last one is :data:`OTHER`.
    """

    columns: np.ndarray
    baseline: np.ndarray
    value: np.ndarray
    split: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    set_column: np.ndarray
    sets: np.ndarray

    @classmethod
    def none(cls, columns: int) -> "Trees":
        """No trees yet, but for one that is a leaf of value 0."""
        empty = {name: np.zeros((0,) * axes, dtype) for name, (dtype, axes) in _KINDS.items()}
        made = {"columns": np.array(columns), "value": np.zeros(1), "sets": np.zeros((0, CATEGORIES + 1), bool)}
        return cls(**{**empty, **made})

    @property
    def count(self) -> int:
        """T, the number of trees."""
        return len(self.value) - 2 * len(self.split)

    @cached_property
    def levels(self) -> list[Level]:
        """The levels, the roots first."""
        return list(self._levels())

    def _levels(self) -> Iterator[Level]:
        start, stop, split = 0, self.count, 0
        while start < stop:
            last = int(np.searchsorted(self.split, stop))
            yield Level(slice(start, stop), slice(split, last))
            start, stop, split = stop, stop + 2 * (last - split), last

    def scores(self, table: np.ndarray) -> np.ndarray:
        """What the trees say of each row, float64 (n,).

        Args:
            table: (n, F), read as float32. A missing value is NaN.
        """
        table = np.asarray(table, np.float32)
        starts = range(0, len(table), ROWS_AT_ONCE)
        return np.concatenate(
            [self._scores(table[start : start + ROWS_AT_ONCE].T) for start in starts] or [np.empty(0)]
        )

    def _scores(self, table: np.ndarray) -> np.ndarray:
        """Scores (n,) of a table (F, n), from the leaves up: a node's value is that of the child a row goes to."""
        compared = self._compared(table)
        values = np.zeros((0, table.shape[1]))
        for nodes, splits in reversed(self.levels):
            left = compared[self.column[splits]] <= self.threshold[splits, np.newaxis]
            chosen = np.where(left, values[0::2], values[1::2])
            values = np.repeat(self.value[nodes, np.newaxis], table.shape[1], axis=1)
            values[self.split[splits] - nodes.start] = chosen
        total = np.full(table.shape[1], self.baseline)
        for of_tree in values:  # in scikit-learn's order, so that the sum is the same
            total += of_tree
        return total

    def _compared(self, table: np.ndarray) -> np.ndarray:
        """What splits compare, (2F + C, n)."""
        known = (table >= 0) & (table < CATEGORIES) & (table == np.floor(table))
        category = np.where(known, table, OTHER).astype(np.int32)
        in_set = np.take_along_axis(self.sets, category[self.set_column], axis=1)
        return np.concatenate(
            [
                table,
                np.where(np.isnan(table), np.float32(-np.inf), table),
                np.where(in_set, np.float32(IN_SET), np.float32(NOT_IN_SET)),
            ]
        )

    def write(self, path: Path) -> None:
        """Write the arrays as a NumPy archive.

        Raises:
            OSError: the file cannot be written.
        """
        write_arrays(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path, columns: int) -> "Trees":
        """Read what :meth:`write` wrote.

        Args:
            path: the archive.
            columns: F, of the table that is to be scored.

        Raises:
            InputError: the file is missing or damaged, is of another table, or its arrays are no trees.
        """
        trees = cls(**read_arrays(path, _KINDS))
        if problem := trees._problem(columns):
            raise InputError(f"not the trees of a trained model: {problem}", path=path)
        return trees

    def _problem(self, columns: int) -> str:
        """What is wrong with the arrays, or an empty text."""
        splits, sets = len(self.split), len(self.set_column)
        of_splits = np.arange(splits)
        checks = {
            f"'columns' is {self.columns}, and the data have {columns}": self.columns == columns,
            "'column' and 'threshold' have to be as long as 'split'": len(self.column) == len(self.threshold) == splits,
            f"'sets' has to be of shape ({sets}, {OTHER + 1})": self.sets.shape == (sets, OTHER + 1),
            "'value' and 'split' leave no tree": self.count > 0,
            "'baseline' and 'value' have to be finite": np.isfinite(self.baseline) and np.isfinite(self.value).all(),
            "'threshold' has a NaN": not np.isnan(self.threshold).any(),
            "'column' names a column that there is not": _within(self.column, 2 * columns + sets),
            "'set_column' names a column that there is not": _within(self.set_column, columns),
            "'split' names a node that there is not": _within(self.split, len(self.value)),
            "'split' has to ascend": bool((np.diff(self.split) > 0).all()),
            "'split' has a node before its parent": bool((self.split < self.count + 2 * of_splits).all()),
        }
        return next((problem for problem, holds in checks.items() if not holds), "")


def _within(numbers: np.ndarray, stop: int) -> bool:
    return bool(((numbers >= 0) & (numbers < stop)).all())
