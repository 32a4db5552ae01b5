"""From prepared Parquet parts to batches: NumPy arrays, or a `tf.data.Dataset` that Keras trains on."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from features import MISSING, UNSEEN
from preprocess.prepared import PreparedData
from training.dataset import Assembly, Plan, Share, as_dataset
from training.packing import Layout, Rows

__all__ = ["Batches", "Plan", "Rows", "Share", "read_columns"]

_CACHE_BYTES = 1 << 29
_MISSING_PER_UNSEEN = 0.2


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
        assembly: makes more of the batches than their rows. For it each row's place within the part, from 0 on, is a
            further int column, the last. If it takes them, the ids before masking come before that, as many columns.

    Attributes:
        rows: how many rows an epoch has.
        units: how many units it has that no replica can share: rows.
        layout: of the packed rows.
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
        assembly: Assembly | None = None,
    ):
        self.rows = self.units = prepared.rows(part)
        self.batch_size = batch_size
        self.oov_rate = oov_rate
        self._prepared, self._part = prepared, part
        self._paths = prepared.parts(part)
        self.layout = Layout.of(prepared.spec.fields, prepared.spec.label)
        self._shuffle = shuffle
        self.assembly = assembly
        self.seed = seed
        row_bytes = 4 * (self.layout.width + len(self.layout.dense) + 2)
        kept = row_bytes * self.rows <= _CACHE_BYTES
        self._read: Callable[[Path], Rows] = functools.cache(self._decode) if kept else self._decode

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def _decode(self, path: Path) -> Rows:
        integers, floats = self.layout.pack(pq.read_table(path, columns=[*self.layout.names, self.layout.label]))
        if self.assembly is not None:
            places = np.arange(len(floats), dtype=np.int32) + np.int32(self._starts[path])
            integers = np.column_stack([integers, places])
        return integers, floats

    @functools.cached_property
    def _starts(self) -> dict[Path, int]:
        """By file, how many rows of the part are before it."""
        sizes = [pq.read_metadata(path).num_rows for path in self._paths]
        return dict(zip(self._paths, itertools.accumulate(sizes, initial=0), strict=False))

    def _ends(self) -> list[int]:
        """How many units have been given after each batch."""
        return (np.arange(1, len(self) + 1) * self.units // max(len(self), 1)).tolist()

    def positions(self, share: Share) -> np.ndarray:
        """The places (n,) within the part, in order and not shuffled, of the rows that a share holds."""
        ends = self._ends()
        batches = zip([0, *ends], ends, strict=False)
        spans = [(begin + start, begin + stop) for begin, end in batches for start, stop in share.bounds(end - begin)]
        return np.concatenate([np.arange(*span) for span in spans])

    def epoch(self, number: int) -> Iterator[Rows]:
        """Packed batches of epoch `number`; the same number gives the same batches."""
        rng = np.random.default_rng([self.seed, number])
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
        if self.assembly is not None and self.assembly.takes_unmasked:
            integers = np.concatenate([integers[:, : self.layout.width], integers], axis=1)
        if self.oov_rate:
            mask_ids(integers[:, : self.layout.width], self.layout, self.oov_rate, rng)
        return integers, floats

    def columns(self, names: Sequence[str], most_rows: int | None = None) -> dict[str, np.ndarray]:
        """Named fields (n,) or (n, L), the label, or what is stored beside them, in order, as a model takes them.

        Args:
            names: which.
            most_rows: of only the first files that hold so many rows, or of all; of the training part a random sample.
        """
        if others := [name for name in names if name not in {*self.layout.names, self.layout.label}]:
            found = self.columns([name for name in names if name not in others], most_rows)
            stored = read_columns(self._prepared, self._part, others)
            return found | {name: values[: len(found[self.layout.label])] for name, values in stored.items()}
        layout = self.layout.restrict(names)
        parts: list[Rows] = []
        for path in self._paths:
            if most_rows is not None and sum(len(floats) for _, floats in parts) >= most_rows:
                break
            parts.append(layout.pack(pq.read_table(path, columns=[*layout.names, layout.label])))
        inputs, labels = layout.unpack(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        return {**inputs, layout.label: labels}

    def dataset(self, first_epoch: int = 0, plan: Plan | None = None, share: Share | None = None) -> tf.data.Dataset:
        """Batches of type :class:`models.batch.Batch`. Each iteration over it is the next epoch.

        Args:
            first_epoch: number of the first epoch.
            plan: plans the look-ups of each batch.
            share: give instead of a batch the slices of it that this names, one after another.
        """
        return as_dataset(self, first_epoch, plan, share or Share(range(1), 1))


def mask_ids(ids: np.ndarray, layout: Layout, rate: float, rng: np.random.Generator) -> None:
    """Replace a share `rate` of the ids (n, width) by UNSEEN, and a fifth as many by MISSING, in place."""
    draw = rng.random(ids.shape, np.float32)
    ids[(draw < rate) & (ids != MISSING)] = UNSEEN
    for field, start, _ in layout.indices:
        if field.kind == "sparse":
            ids[draw[:, start] > 1 - rate * _MISSING_PER_UNSEEN, start] = MISSING


def read_beside(prepared: PreparedData, part: str, *names: str) -> dict[str, np.ndarray]:
    """Columns of a part beside its fields, such as `group` and `row`, in order; whatever fields are called."""
    stored = read_columns(prepared, part, [prepared.spec.beside(name) for name in names])
    return {name: stored[prepared.spec.beside(name)] for name in names}


def read_columns(prepared: PreparedData, part: str, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of a part in order, without lists, as stored: `label`, `group`, `row`, indices, unscaled numbers.

    Of a part without rows the columns are empty.
    """
    tables = [pq.read_table(path, columns=names) for path in prepared.parts(part)]
    if not tables:
        return {name: np.empty(0, np.int64) for name in names}
    table = pa.concat_tables(tables)
    return {name: table[name].to_numpy() for name in names}
