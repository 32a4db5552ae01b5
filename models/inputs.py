"""From DeepCTR feature columns to the tensors that towers take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from features import MISSING, Side
from layers import FieldEmbedding
from layers.embedding import masked_mean
from layers.lookup_plan import DISTINCT, LookupPlan
from models.columns import Column
from models.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat

Inputs = Mapping[str, Any]
"""Features by name, tensors; beside them the plan of their look-ups and the embeddings, where made ahead."""

_EMBEDDED = "embedded"


@dataclass(frozen=True)
class EncodedSide:
    """The embedded features of one side of a batch.

    Attributes:
        fields: by name, in the columns' order, (B, E) of every id field, sequences averaged over their filled
            positions.
        sequences: by name, (B, L, E) of the sequences asked for element by element; the values of padding mean nothing.
        masks: by name, (B, L) bool, true where such a sequence is filled.
        dense: by name, (B, 1) of every number.
    """

    fields: dict[str, tf.Tensor]
    sequences: dict[str, tf.Tensor]
    masks: dict[str, tf.Tensor]
    dense: dict[str, tf.Tensor]

    def concat(self, names: Sequence[str] | None = None) -> tf.Tensor:
        """All fields and numbers side by side (B, D), or those named."""
        parts = {**self.fields, **self.dense}
        return tf.concat([parts[name] for name in (parts if names is None else names)], axis=-1)

    def stack(self, embed_numbers: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """All id fields, then all numbers as vectors, as fields (B, F, E).

        Args:
            embed_numbers: maps numbers (B, N) to vectors (B, N, E), as `layers.NumberEmbedding` does.
        """
        parts = [tf.stack(list(self.fields.values()), axis=1)] if self.fields else []
        if self.dense:
            parts.append(embed_numbers(tf.concat(list(self.dense.values()), axis=-1)))
        return tf.concat(parts, axis=1)


class FeatureEncoder(tf.keras.layers.Layer):
    """Embeds the features that DeepCTR columns describe; both sides share its tables.

    Args:
        user_columns, item_columns: DeepCTR columns; those with the same `embedding_name` share a table.
        keep: names of sequences wanted element by element too.
        seed: seed of the tables' initial values.
        xla: use only operations that XLA compiles; slower elsewhere.

    Raises:
        ValueError: columns of one table that differ in size, or embeddings of different sizes.
    """

    def __init__(
        self,
        user_columns: Sequence[Column],
        item_columns: Sequence[Column],
        keep: Collection[str] = (),
        seed: int = 0,
        xla: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.keep = tuple(keep)
        self._columns: dict[Side, list[Column]] = {"user": list(user_columns), "item": list(item_columns)}
        embedded = [c for c in (*user_columns, *item_columns) if isinstance(c, SparseFeat | VarLenSparseFeat)]
        sizes = {column.embedding_dim for column in embedded}
        if len(sizes) > 1:
            raise ValueError(f"all embeddings share one table and so one size. Received: {sorted(sizes)}")
        rows: dict[str, int] = {}
        for column in embedded:
            if rows.setdefault(column.embedding_name, column.vocabulary_size) != column.vocabulary_size:
                raise ValueError(f"columns of table {column.embedding_name!r} differ in vocabulary_size")
        fields = {column.name: column.embedding_name for column in embedded}
        self.embedding = FieldEmbedding(rows, fields, sizes.pop() if sizes else 1, seed=seed, xla=xla)

    def plan(self) -> LookupPlan:
        """What plans the look-ups of both sides of a batch, for :meth:`gather`."""
        return self.embedding.plan(self.keep)

    def gather(self, inputs: Inputs) -> tf.Tensor | None:
        """The embeddings (U, E) of the table rows that a batch needs, if its inputs hold a plan of them."""
        return self.embedding.gather(inputs) if DISTINCT in inputs else None

    def embed(self, inputs: Inputs, rows: tf.Tensor) -> Inputs:
        """`inputs` with the embeddings of all fields of both sides, made of gathered `rows`, for :meth:`call`."""
        return {**inputs, _EMBEDDED: self.embedding.pool(rows, inputs, inputs, self.keep)}

    def call(self, inputs: Inputs, side: Side = "user") -> EncodedSide:
        """Embed one side's features of a batch.

        Args:
            inputs: the side's features by name, or what :meth:`embed` returned; the other side's are ignored.
            side: which side.
        """
        columns = self._columns[side]
        indices = {c.name: inputs[c.name] for c in columns if not isinstance(c, DenseFeat)}
        dense = {c.name: inputs[c.name] for c in columns if isinstance(c, DenseFeat)}
        keep = [name for name in self.keep if name in indices]
        if _EMBEDDED in inputs:
            fields = {name: inputs[_EMBEDDED][name] for name in indices}
        else:
            fields = self.embedding(indices, keep=keep) if indices else {}
        sequences = {name: fields[name] for name in keep}
        masks = {name: tf.not_equal(inputs[name], MISSING) for name in keep}
        return EncodedSide(
            fields=fields | {name: masked_mean(sequences[name], masks[name]) for name in keep},
            sequences=sequences,
            masks=masks,
            dense={name: tf.cast(tf.reshape(value, [-1, 1]), self.compute_dtype) for name, value in dense.items()},
        )
