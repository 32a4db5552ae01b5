"""From DeepCTR feature columns to the tensors that towers take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from features import MISSING, FeatureSpec, Side
from layers import FieldEmbedding
from layers.embedding import masked_mean
from layers.lookup_plan import LookupPlan
from models.columns import Column
from models.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat


class Embedded:
    """Features of a batch whose embeddings were looked up ahead. Gives the features by name, as a mapping does.

    It is no mapping, so that Keras takes it as a whole.

    Attributes:
        features: by name.
        fields: by name, the embeddings of the id fields, as :meth:`layers.FieldEmbedding.pool` gives them.
    """

    def __init__(self, features: Mapping[str, Any], fields: Mapping[str, tf.Tensor]):
        self.features = features
        self.fields = fields

    def __getitem__(self, name: str) -> Any:
        return self.features[name]


Inputs: TypeAlias = Mapping[str, Any] | Embedded
"""Features by name, tensors; and their embeddings, where made ahead."""


def paired(inputs: Inputs, spec: FeatureSpec, users: tf.Tensor, items: tf.Tensor) -> Inputs:
    """The features of pairs: those of the user's side at `users` (P,), those of the item's side at `items` (P,).

    Fields that `spec` does not have are left out.
    """
    places = {field.name: users if field.side == "user" else items for field in spec.fields}

    def taken(values: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        return {name: tf.gather(value, places[name]) for name, value in values.items() if name in places}

    if isinstance(inputs, Embedded):
        return Embedded(taken(inputs.features), taken(inputs.fields))
    return taken(inputs)


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

    def take(self, places: tf.Tensor) -> "EncodedSide":
        """The side of pairs: what is at `places` (P,) of the batch."""
        parts = (self.fields, self.sequences, self.masks, self.dense)
        return EncodedSide(*({name: tf.gather(value, places) for name, value in part.items()} for part in parts))

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
        stddev: standard deviation of the tables' initial values (DeepCTR's by default).

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
        stddev: float = 1e-4,
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
        self.embedding = FieldEmbedding(rows, fields, sizes.pop() if sizes else 1, stddev, seed=seed, xla=xla)

    def plan(self) -> LookupPlan:
        """What plans the look-ups of both sides of a batch, for :meth:`gather`."""
        return self.embedding.plan(self.keep)

    def gather(self, plan: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
        """What :meth:`layers.FieldEmbedding.gather` gives for the plan of a batch; None if there is no plan."""
        return self.embedding.gather(plan) if plan else None

    def embed(self, features: Mapping[str, Any], plan: Mapping[str, tf.Tensor], rows: tf.Tensor) -> Embedded:
        """`features` with the embeddings of all fields of both sides, made of gathered `rows`, for :meth:`call`."""
        return Embedded(features, self.embedding.pool(rows, plan, features, self.keep))

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
        if isinstance(inputs, Embedded):
            fields = {name: inputs.fields[name] for name in indices}
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
