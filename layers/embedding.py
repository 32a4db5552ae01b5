"""Embeddings of many fields in one table, so that a step gathers and updates each row once."""

import itertools
from collections.abc import Collection, Mapping

import tensorflow as tf

from layers.lookup_plan import DISTINCT, PADDING, SLOT_COUNT, WEIGHTS, LookupPlan, RowKernels, sum_by_slot


@tf.keras.utils.register_keras_serializable(package="prerank")
class FieldEmbedding(tf.keras.layers.Layer):
    """Looks up the embeddings of named fields; fields may share a table.

    All tables lie in one variable, one after the other. Each distinct index of a batch is gathered once, so that the
    gradient arrives with few rows, and sequences are averaged straight from those rows, without a (B, L, E) tensor.

    Args:
        rows: rows of each table, by table name.
        fields: the table that each field looks up, by field name.
        embedding_dim: size E of an embedding.
        stddev: standard deviation of the initial values (DeepCTR's 1e-4 by default).
        seed: seed of the initial values.
        xla: use only operations that XLA compiles; slower elsewhere.

    Attributes:
        kernels: compiled operations for planned look-ups; None for TensorFlow's. Set before the first step is traced.
    """

    kernels: RowKernels | None = None

    def __init__(
        self,
        rows: dict[str, int],
        fields: dict[str, str],
        embedding_dim: int,
        stddev: float = 1e-4,
        seed: int = 0,
        xla: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if unknown := sorted(set(fields.values()) - set(rows)):
            raise ValueError(f"fields look up tables that have no rows. Received: tables={unknown}, rows={rows}")
        self.rows = dict(rows)
        self.fields = dict(fields)
        self.embedding_dim = embedding_dim
        self.stddev = stddev
        self.seed = seed
        self.xla = xla
        starts = itertools.accumulate(self.rows.values(), initial=0)
        self._start = dict(zip(self.rows, starts, strict=False))

    def build(self, input_shape):
        self.table = self.add_weight(
            name="table",
            shape=(sum(self.rows.values()), self.embedding_dim),
            initializer=tf.keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed),
        )
        super().build(input_shape)

    def call(self, inputs, keep: Collection[str] = ()):
        """Look up the fields in `inputs`.

        Args:
            inputs: by field name, int32 indices within the field's table, (B,) or (B, L) with 0 as padding.
            keep: names of sequences wanted element by element.

        Returns:
            By field name, in the order of `inputs`, embeddings (B, E). A sequence gives the mean of its filled
            positions, zeros if there is none, or (B, L, E) if it is named in `keep`.
        """
        flat, segments = {}, {}
        for name, indices in inputs.items():
            if indices.shape.rank == 2 and name not in keep and not self.xla:
                filled = tf.not_equal(indices, PADDING)
                segments[name] = tf.where(filled)[:, 0]
                indices = tf.boolean_mask(indices, filled)
            flat[name] = tf.reshape(indices, [-1]) + self._start[self.fields[name]]
        rows, positions = self._gather(flat)
        result = {}
        for name, indices in inputs.items():
            if name in segments:
                batch = tf.shape(indices)[0]
                result[name] = tf.sparse.segment_mean(rows, positions[name], segments[name], num_segments=batch)
                continue
            found = tf.reshape(tf.gather(rows, positions[name]), [*_shape(indices), self.embedding_dim])
            pooled = indices.shape.rank == 2 and name not in keep
            result[name] = masked_mean(found, tf.not_equal(indices, PADDING)) if pooled else found
        return result

    def plan(self, keep: Collection[str] = ()) -> LookupPlan:
        """What plans the look-ups of all fields of a batch outside the step, for :meth:`gather` and :meth:`pool`."""
        return LookupPlan({name: self._start[table] for name, table in self.fields.items()}, keep)

    def gather(self, plan: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The embeddings (U, E) of a plan's distinct table rows, in the table's own dtype.

        With `kernels`, their sums (S, E) by the plan's slots.
        """
        if self.kernels is not None:
            return self.kernels.pool(self.table, plan)
        return tf.gather(self.table, plan[DISTINCT])

    def pool(
        self, rows: tf.Tensor, plan: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor], keep: Collection[str]
    ) -> dict[str, tf.Tensor]:
        """What :meth:`call` gives for all fields, made of gathered `rows`, but zeros for the padding of what is kept.

        Args:
            rows: what :meth:`gather` gave for `plan`.
            plan: planned for the same `inputs` and `keep`.
            inputs: as for :meth:`call`, of every field.
            keep: as for :meth:`call`.
        """
        shapes = {name: _shape(inputs[name]) if name in keep else _shape(inputs[name])[:1] for name in self.fields}
        sizes = [tf.reduce_prod(shape) for shape in shapes.values()]
        slots = rows if self.kernels is not None else sum_by_slot(rows, plan, plan[SLOT_COUNT])
        parts = tf.split(slots, sizes, num=len(sizes))
        means = [name for name in self.fields if inputs[name].shape.rank == 2 and name not in keep]
        lengths = [_shape(inputs[name])[0] for name in means]
        split = tf.split(plan[WEIGHTS], lengths, num=len(means)) if means else []
        weights = dict(zip(means, split, strict=True))
        result = {}
        for (name, shape), part in zip(shapes.items(), parts, strict=True):
            if name in weights:
                part *= weights[name][:, tf.newaxis]
            result[name] = tf.cast(tf.reshape(part, [*shape, self.embedding_dim]), self.compute_dtype)
        return result

    def _gather(self, flat: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The embeddings of the batch's distinct indices, and where among them each field's lie."""
        indices = tf.concat(list(flat.values()), axis=0)
        if self.xla:
            rows, positions = tf.gather(self.table, indices), tf.range(tf.size(indices))
        else:
            distinct, positions = tf.unique(indices)
            rows = tf.gather(self.table, distinct)
        parts = tf.split(positions, [tf.size(part) for part in flat.values()], num=len(flat))
        return tf.cast(rows, self.compute_dtype), dict(zip(flat, parts, strict=True))

    def compute_output_shape(self, input_shape):
        return {name: (tuple(shape)[0], self.embedding_dim) for name, shape in input_shape.items()}

    def get_config(self):
        return {
            **super().get_config(),
            "rows": dict(self.rows),
            "fields": dict(self.fields),
            "embedding_dim": self.embedding_dim,
            "stddev": self.stddev,
            "seed": self.seed,
            "xla": self.xla,
        }


def masked_mean(embeddings: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean (B, E) of embeddings (B, L, E) where `mask` (B, L) is true; zeros where it is nowhere."""
    weights = tf.cast(mask, embeddings.dtype)
    total = tf.linalg.matvec(embeddings, weights, transpose_a=True)
    return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=1, keepdims=True))


def _shape(indices: tf.Tensor) -> list[tf.Tensor | int]:
    dynamic = tf.shape(indices)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(indices.shape)]
