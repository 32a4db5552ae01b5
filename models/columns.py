"""The fields of a data set as DeepCTR feature columns."""

from typing import TypeAlias

from features import FeatureSpec, Field, Side
from models.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat

Column: TypeAlias = SparseFeat | VarLenSparseFeat | DenseFeat


def column(field: Field, embedding_dim: int) -> Column:
    """A field as a DeepCTR feature column with embeddings of size `embedding_dim`."""
    if field.kind == "dense":
        return DenseFeat(field.name, 1)
    sparse = SparseFeat(
        field.name,
        vocabulary_size=field.vocabulary_size,
        embedding_dim=embedding_dim,
        embedding_name=field.vocabulary,
    )
    if field.kind == "sparse":
        return sparse
    return VarLenSparseFeat(sparse, maxlen=field.max_length, combiner="mean")


def columns(spec: FeatureSpec, side: Side, embedding_dim: int) -> list[Column]:
    """The DeepCTR feature columns of one side, in the order of its fields."""
    return [column(field, embedding_dim) for field in spec.side(side)]
