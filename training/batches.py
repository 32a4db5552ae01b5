"""From prepared Parquet parts to batches: NumPy arrays, or a `tf.data.Dataset` that Keras trains on."""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from features import MISSING, UNSEEN, Field
from preprocess.prepared import PreparedData

_CACHE_BYTES = 1 << 29
_MISSING_PER_UNSEEN = 0.2

Rows = tuple[np.ndarray, np.ndarray]
"""Rows of a part, packed: int32 (n, sum of widths) and float32 (n, dense fields + label)."""


@dataclass(frozen=True)
class Share:
    """The rows of every batch that one process computes: those of its replicas, one replica after another.

    Attributes:
        replicas: the numbers of its replicas.
        count: how many replicas all processes have.
    """

    replicas: range
    count: int

    def bounds(self, rows: int) -> list[tuple[int, int]]:
        """Where the slice of each of its replicas begins and ends in a batch of `rows`; slices differ by at most 1."""
        return [(rows * number // self.count, rows * (number + 1) // self.count) for number in self.replicas]


class Plan(Protocol):
    """Computes from a batch's inputs, by field name, further inputs; runs beside the training step."""

    @property
    def signature(self) -> Mapping[str, tf.TensorSpec]:
        """The further inputs' names, types and shapes."""

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The further inputs of a batch."""


@dataclass(frozen=True)
class _Layout:
    """Where each field lies in packed rows."""

    indices: tuple[tuple[Field, int, int], ...]
    dense: tuple[Field, ...]
    label: str

    @classmethod
    def of(cls, fields: Iterable[Field], label: str) -> "_Layout":
        fields = tuple(fields)
        indices, start = [], 0
        for field in fields:
            if field.kind != "dense":
                width = field.max_length if field.kind == "sequence" else 1
                indices.append((field, start, start + width))
                start += width
        return cls(tuple(indices), tuple(f for f in fields if f.kind == "dense"), label)

    def restrict(self, names: Collection[str]) -> "_Layout":
        """The layout of some of the fields."""
        fields = [field for field, *_ in self.indices] + list(self.dense)
        return _Layout.of([field for field in fields if field.name in names], self.label)

    @property
    def names(self) -> list[str]:
        return [field.name for field, *_ in self.indices] + [field.name for field in self.dense]

    @property
    def width(self) -> int:
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
        floats[:, -1] = table[self.label].to_numpy()
        return integers, floats

    def unpack(self, integers, floats) -> tuple[dict, "np.ndarray | tf.Tensor"]:
        """Split packed rows, NumPy arrays or tensors, into inputs by field name, and labels (n,)."""
        inputs = {}
        for field, start, stop in self.indices:
            inputs[field.name] = integers[:, start] if field.kind == "sparse" else integers[:, start:stop]
        for position, field in enumerate(self.dense):
            inputs[field.name] = floats[:, position]
        return inputs, floats[:, -1]


def _pad(column: pa.Array, out: np.ndarray) -> None:
    """Write a list column into `out` (n, L), zero-initialised; a list is at most L long."""
    lengths = np.diff(column.offsets.to_numpy())
    filled = np.arange(out.shape[1]) < lengths[:, np.newaxis]
    out[filled] = column.flatten().to_numpy(zero_copy_only=False)


class Batches:
    """Batches of one part ("train", "validation" or "test") of a prepared data set.

    Parts of moderate size are decoded once and kept; others are streamed, a file at a time.

    Args:
        prepared: the data set.
        part: which part.
        batch_size: rows a batch. Batches of a part are of nearly equal size, at most this.
        shuffle: visit files, and rows within a file, in an order given by `seed` and the epoch. The
            training part's files are random samples of it already.
        oov_rate: share of ids replaced by UNSEEN, and a fifth of it by MISSING, so that both embeddings are trained.
        seed: seed of the order and of the replacements.
    """

    def __init__(
        self,
        prepared: PreparedData,
        part: str,
        batch_size: int,
        *,
        shuffle: bool = False,
        oov_rate: float = 0.0,
        seed: int = 0,
    ):
        self.rows = prepared.rows(part)
        self.batch_size = batch_size
        self.oov_rate = oov_rate
        self._prepared, self._part = prepared, part
        self._paths = prepared.parts(part)
        self._layout = _Layout.of(prepared.spec.fields, prepared.spec.label)
        self._shuffle = shuffle
        self._seed = seed
        row_bytes = 4 * (self._layout.width + len(self._layout.dense) + 1)
        kept = row_bytes * self.rows <= _CACHE_BYTES
        self._read: Callable[[Path], Rows] = functools.cache(self._decode) if kept else self._decode

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def _decode(self, path: Path) -> Rows:
        return self._layout.pack(pq.read_table(path, columns=[*self._layout.names, self._layout.label]))

    def _ends(self) -> list[int]:
        """How many rows have been given after each batch."""
        return (np.arange(1, len(self) + 1) * self.rows // max(len(self), 1)).tolist()

    def positions(self, share: Share) -> np.ndarray:
        """The places (n,) within the part, in order and not shuffled, of the rows that a share holds."""
        ends = self._ends()
        batches = zip([0, *ends], ends, strict=False)
        spans = [(begin + start, begin + stop) for begin, end in batches for start, stop in share.bounds(end - begin)]
        return np.concatenate([np.arange(*span) for span in spans])

    def epoch(self, number: int) -> Iterator[Rows]:
        """Packed batches of epoch `number`; the same number gives the same batches."""
        rng = np.random.default_rng([self._seed, number])
        ends = iter(self._ends())
        order = rng.permutation(len(self._paths)) if self._shuffle else range(len(self._paths))
        pending: list[Rows] = []
        given, end, held = 0, next(ends, 0), 0
        for index in order:
            integers, floats = self._read(self._paths[index])
            rows = rng.permutation(len(floats)) if self._shuffle else np.arange(len(floats))
            position = 0
            while position < len(rows):
                chosen = rows[position : position + end - given - held]
                pending.append((integers[chosen], floats[chosen]))
                position += len(chosen)
                held += len(chosen)
                if given + held == end:
                    yield self._finish(pending, rng)
                    pending, given, held, end = [], end, 0, next(ends, 0)

    def _finish(self, pending: list[Rows], rng: np.random.Generator) -> Rows:
        integers, floats = (
            np.concatenate(parts) if len(pending) > 1 else parts[0] for parts in zip(*pending, strict=True)
        )
        if self.oov_rate:
            draw = rng.random(integers.shape, np.float32)
            integers[(draw < self.oov_rate) & (integers != MISSING)] = UNSEEN
            for field, start, _ in self._layout.indices:
                if field.kind == "sparse":
                    integers[draw[:, start] > 1 - self.oov_rate * _MISSING_PER_UNSEEN, start] = MISSING
        return integers, floats

    def columns(self, names: Sequence[str], most_rows: int | None = None) -> dict[str, np.ndarray]:
        """Named fields (n,) or (n, L), the label, or what is stored beside them, in order, as a model takes them.

        Args:
            names: which.
            most_rows: of the first files alone that hold so many rows or all; of the training part a random sample.
        """
        if others := [name for name in names if name not in {*self._layout.names, self._layout.label}]:
            found = self.columns([name for name in names if name not in others], most_rows)
            stored = read_columns(self._prepared, self._part, others)
            return found | {name: values[: len(found[self._layout.label])] for name, values in stored.items()}
        layout = self._layout.restrict(names)
        parts: list[Rows] = []
        for path in self._paths:
            if most_rows is not None and sum(len(floats) for _, floats in parts) >= most_rows:
                break
            parts.append(layout.pack(pq.read_table(path, columns=[*layout.names, layout.label])))
        inputs, labels = layout.unpack(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        return {**inputs, layout.label: labels}

    def dataset(self, first_epoch: int = 0, plan: Plan | None = None, share: Share | None = None) -> tf.data.Dataset:
        """Batches of (inputs by field name, labels). Each iteration over it is the next epoch.

        Args:
            first_epoch: number of the first epoch.
            plan: what else to compute of each batch's inputs, and add to them.
            share: give instead of a batch the slices of it that this names, one after another, each with its part of
                the batch's rows as its weight: (inputs, labels, weight).
        """
        slices = share or Share(range(1), 1)
        numbers = iter(range(first_epoch, 1 << 31))
        signature = (
            tf.TensorSpec((None, self._layout.width), tf.int32),
            tf.TensorSpec((None, len(self._layout.dense) + 1), tf.float32),
            {} if plan is None else plan.signature,
            tf.TensorSpec((), tf.float32),
        )

        def epoch() -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.float32]]:
            for batch in self.epoch(next(numbers)):
                for start, stop in slices.bounds(len(batch[0])):
                    integers, floats = (rows[start:stop] for rows in batch)
                    planned = {} if plan is None else plan(self._layout.unpack(integers, floats)[0])
                    yield integers, floats, planned, np.float32((stop - start) / len(batch[0]))

        def unpack(integers: tf.Tensor, floats: tf.Tensor, planned: dict[str, tf.Tensor], weight: tf.Tensor):
            inputs, labels = self._layout.unpack(integers, floats)
            return ({**inputs, **planned}, labels) if share is None else ({**inputs, **planned}, labels, weight)

        batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
        batches = batches.apply(tf.data.experimental.assert_cardinality(len(self) * len(slices.replicas)))
        # Nothing here is tuned, and the tuner's thread, asleep for up to a minute, would hold up the end of each epoch.
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.map(unpack).prefetch(4).with_options(options)


def read_columns(prepared: PreparedData, part: str, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of a part in order, without lists, as stored: `label`, `group`, `row`, indices, unscaled numbers."""
    table = pa.concat_tables([pq.read_table(path, columns=names) for path in prepared.parts(part)])
    return {name: table[name].to_numpy() for name in names}
