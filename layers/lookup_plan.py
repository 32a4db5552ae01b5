"""Which rows of an embedding table a batch needs, worked out before the training step."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

PADDING = 0
"""The index that fills a sequence up."""

DISTINCT = "lookup/distinct"
ELEMENTS = "lookup/elements"
SLOTS = "lookup/slots"
SORTED_ROWS = "lookup/sorted_rows"
SORTED_SLOTS = "lookup/sorted_slots"
WEIGHTS = "lookup/weights"
SLOT_COUNT = "lookup/slot_count"


class LookupPlan:
    """Plans the look-ups of a batch's fields in one table, on the host, in NumPy.

    The result of all look-ups is seen as slots, one vector each. A field has B slots, one a row of the batch; B may
    differ from field to field, as a batch may have more items than users. A sequence named in `keep` has B·L, one an
    element. The slots of a field follow those of the field before. The filled elements of the batch are then a sparse
    matrix from distinct table rows to slots; the plan holds it ordered by slot, as the forward pass reads it, and
    ordered by row, as the backward pass does, so that both are sums over consecutive elements and each table row has
    one gradient.

    Args:
        starts: by field name, where in the joint table the field's own begins.
        keep: names of the sequences wanted element by element.

    Attributes:
        signature: the tensors that a plan consists of, by name.
    """

    def __init__(self, starts: Mapping[str, int], keep: Collection[str] = ()):
        self.starts = dict(starts)
        self.keep = frozenset(keep)
        indices = tf.TensorSpec([None], tf.int32)
        self.signature = dict.fromkeys([DISTINCT, ELEMENTS, SLOTS, SORTED_ROWS, SORTED_SLOTS], indices)
        self.signature[WEIGHTS] = tf.TensorSpec([None], tf.float32)
        self.signature[SLOT_COUNT] = tf.TensorSpec([], tf.int32)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Plan a batch.

        Args:
            inputs: by field name, int32 indices within the field's own table, (B,) or (B, L) with 0 as padding; other
                names are ignored.

        Returns:
            `DISTINCT` int32 (U,), the table rows looked up, ascending; of the T filled elements, ordered by slot,
            `ELEMENTS` int32 (T,), their positions in `DISTINCT`, and `SLOTS` int32 (T,); of the same elements, ordered
            by row, `SORTED_ROWS` and `SORTED_SLOTS` int32 (T,); `WEIGHTS` float32, one vector (B,) after another of the
            sequences not in `keep`, one over the number of a row's elements, 0 where it has none; `SLOT_COUNT` int32
            (), how many slots there are.
        """
        flat, places, weights, slots = [], [], [np.empty(0, np.float32)], 0
        for name, start in self.starts.items():
            found, place, size = self._filled(name, inputs[name])
            flat.append(found + np.int32(start))
            places.append(place + np.int32(slots))
            slots += size
            if inputs[name].ndim == 2 and name not in self.keep:
                counts = np.bincount(place, minlength=size)
                weights.append(((counts > 0) / np.maximum(counts, 1)).astype(np.float32))
        rows, place = np.concatenate(flat), np.concatenate(places)
        order = np.argsort(rows)
        ordered = rows[order]
        first = np.empty(len(ordered), bool)
        first[:1] = True
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        sorted_rows = np.cumsum(first, dtype=np.int32) - np.int32(1)
        elements = np.empty_like(sorted_rows)
        elements[order] = sorted_rows
        return {
            DISTINCT: ordered[first],
            ELEMENTS: elements,
            SLOTS: place,
            SORTED_ROWS: sorted_rows,
            SORTED_SLOTS: place[order],
            WEIGHTS: np.concatenate(weights),
            SLOT_COUNT: np.array(slots, np.int32),
        }

    def _filled(self, name: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """A field's filled elements, their slots within the field, and how many slots the field has."""
        if indices.ndim == 1:
            return indices, np.arange(len(indices), dtype=np.int32), len(indices)
        flat = indices.reshape(-1)
        filled = np.flatnonzero(flat != PADDING).astype(np.int32)
        if name in self.keep:
            return flat[filled], filled, indices.size
        return flat[filled], filled // np.int32(indices.shape[1]), len(indices)


class RowKernels(Protocol):
    """Compiled operations that do in one pass what TensorFlow's do in several; float32, on a CPU.

    They give the same numbers to the last bit.
    """

    def pool(self, table: tf.Variable, plan: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The sums (S, E) of the table's rows over each slot's elements; not differentiable."""

    def lazy_adam(
        self,
        table: tf.Variable,
        moments: tuple[tf.Variable, tf.Variable],
        gradient: tf.Tensor,
        plan: Mapping[str, tf.Tensor],
        rate: tf.Tensor,
        constants: "AdamConstants",
    ) -> None:
        """Move the rows that a plan looks up, and their moments, by the gradient (S, E) of the plan's slots."""


class AdamConstants(NamedTuple):
    """What a lazy Adam's step depends on beside its rate, see :class:`training.optimizer.LazyAdam`."""

    beta_1: float
    beta_2: float
    epsilon: float
    embedding_l2: float


def sum_by_slot(rows: tf.Tensor, plan: Mapping[str, tf.Tensor], slots: tf.Tensor) -> tf.Tensor:
    """Sums (`slots`, E) over each slot's elements of the embeddings `rows` (U, E) of a plan's distinct table rows."""

    @tf.custom_gradient
    def pool(rows: tf.Tensor):
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return sum_by_row(upstream, plan)

        return tf.sparse.segment_sum(rows, plan[ELEMENTS], plan[SLOTS], num_segments=slots), gradient

    return pool(rows)


def sum_by_row(gradient: tf.Tensor, plan: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Sums (U, E) of the gradient (S, E) of a plan's slots over each distinct table row's elements."""
    distinct = tf.shape(plan[DISTINCT])[0]
    return tf.sparse.segment_sum(gradient, plan[SORTED_SLOTS], plan[SORTED_ROWS], num_segments=distinct)


class DistinctRows(tf.IndexedSlices):
    """The gradient of some rows of a table, each row once, so that an optimizer need not look for repetitions.

    Args:
        gradient: (U, E), of the rows.
        indices: int32 (U,), which rows.
        rows: (U, E), their values, so that an optimizer need not read them again.
    """

    def __init__(self, gradient: tf.Tensor, indices: tf.Tensor, rows: tf.Tensor):
        super().__init__(gradient, indices)
        self.rows = rows


class SlotGradient(tf.IndexedSlices):
    """As :class:`DistinctRows`, but the gradient of a row is summed only where somebody asks for `values`.

    Args:
        of_slots: (S, E), the gradient of a plan's slots.
        plan: the plan.
        kernels: what an optimizer can sum and apply it with.
    """

    def __init__(self, of_slots: tf.Tensor, plan: Mapping[str, tf.Tensor], kernels: RowKernels):
        super().__init__(of_slots, plan[DISTINCT])
        self.of_slots = of_slots
        self.plan = plan
        self.kernels = kernels

    @property
    def values(self) -> tf.Tensor:
        """(U, E), of the rows."""
        return sum_by_row(self.of_slots, self.plan)

    @property
    def dtype(self) -> tf.DType:
        """That of `values`, which are not summed for it."""
        return self.of_slots.dtype


def with_gathered(
    gradient: tf.IndexedSlices | None,
    of_gathered: tf.Tensor,
    gathered: tf.Tensor,
    plan: Mapping[str, tf.Tensor],
    kernels: RowKernels | None = None,
) -> tf.IndexedSlices:
    """The whole gradient of a table.

    Args:
        gradient: that of look-ups that were not planned, or None.
        of_gathered: that of `gathered`.
        gathered: a plan's rows (U, E); with `kernels` its slots (S, E).
        plan: the plan.
        kernels: what gathered, if not TensorFlow's operations.
    """
    if gradient is None:
        if kernels is None:
            return DistinctRows(of_gathered, plan[DISTINCT], gathered)
        return SlotGradient(of_gathered, plan, kernels)
    of_rows = of_gathered if kernels is None else sum_by_row(of_gathered, plan)
    indices = tf.concat([plan[DISTINCT], tf.cast(gradient.indices, tf.int32)], axis=0)
    return tf.IndexedSlices(tf.concat([of_rows, gradient.values], axis=0), indices)
