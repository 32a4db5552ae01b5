"""Rows of prepared Parquet files as two arrays, and back to fields by name."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features import UNLABELLED, Field

if TYPE_CHECKING:
    import tensorflow as tf

Rows = tuple[np.ndarray, np.ndarray]
"""Packed rows: int32 (n, sum of widths, and the row's place if numbered) and float32 (n, dense fields + label)."""


@dataclass(frozen=True)
class Layout:
    """Where each field lies in packed rows.

    Attributes:
        indices: the id fields, each with the first of its columns and the one after its last.
        dense: the numbers, each a column.
        label: name of the label, the last of the float columns; NaN where a row has none.
    """

    indices: tuple[tuple[Field, int, int], ...]
    dense: tuple[Field, ...]
    label: str

    @classmethod
    def of(cls, fields: Iterable[Field], label: str) -> "Layout":
        fields = tuple(fields)
        indices, start = [], 0
        for field in fields:
            if field.kind != "dense":
                width = field.max_length if field.kind == "sequence" else 1
                indices.append((field, start, start + width))
                start += width
        return cls(tuple(indices), tuple(f for f in fields if f.kind == "dense"), label)

    def restrict(self, names: Collection[str]) -> "Layout":
        """The layout of some of the fields."""
        fields = [field for field, *_ in self.indices] + list(self.dense)
        return Layout.of([field for field in fields if field.name in names], self.label)

    @property
    def names(self) -> list[str]:
        """Names of the fields in order."""
        return [field.name for field, *_ in self.indices] + [field.name for field in self.dense]

    @property
    def width(self) -> int:
        """How many int columns there are."""
        return self.indices[-1][2] if self.indices else 0

    def pack(self, table: pa.Table) -> Rows:
        """Pad sequences on the right, scale numbers, and lay the columns side by side."""
        integers = np.zeros((table.num_rows, self.width), np.int32)
        for field, start, stop in self.indices:
            column = table[field.name].combine_chunks()
            if field.kind == "sparse":
                integers[:, start] = column.to_numpy(zero_copy_only=False)
            else:
                _pad(column, integers[:, start:stop])
        floats = np.empty((table.num_rows, len(self.dense) + 1), np.float32)
        for position, field in enumerate(self.dense):
            # An export is asked with 32 bits. From the same 32 bits it computes the same, to the last bit: a tree
            # sends two rows that differ in the last bit different ways.
            numbers = table[field.name].to_numpy().astype(np.float32).astype(np.float64)
            floats[:, position] = (numbers - field.mean) / field.scale
        labels = table[self.label].to_numpy()
        floats[:, -1] = np.where(labels == UNLABELLED, np.nan, labels)
        return integers, floats

    def unpack(self, integers, floats) -> tuple[dict, "np.ndarray | tf.Tensor"]:
        """Split packed rows, NumPy arrays or tensors, into the fields by name, and labels (n,)."""
        return self.fields(integers, floats), floats[:, -1]

    def fields(self, integers, floats) -> dict:
        """The fields of packed rows by name; the columns of label and place may be missing."""
        inputs = {}
        for field, start, stop in self.indices:
            inputs[field.name] = integers[:, start] if field.kind == "sparse" else integers[:, start:stop]
        for position, field in enumerate(self.dense):
            inputs[field.name] = floats[:, position]
        return inputs


def _pad(column: pa.Array, out: np.ndarray) -> None:
    """Write a list column into `out` (n, L), zero-initialised; a list is at most L long."""
    lengths = np.diff(column.offsets.to_numpy())
    filled = np.arange(out.shape[1]) < lengths[:, np.newaxis]
    out[filled] = column.flatten().to_numpy(zero_copy_only=False)
