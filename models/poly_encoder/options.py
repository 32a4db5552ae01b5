"""Options of PolyEncoder, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import Similarity, TowerOptions
from models.registry import register


class PolyEncoderOptions(TowerOptions):
    """Options of Poly-Encoder."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 32), min_length=1, description="widths of the item's tower; the last is that of all vectors"
    )
    codes: PositiveInt = Field(8, description="codes, each of which gives a user a vector")
    similarity: Similarity = Field(
        "scaled_cosine", description="similarity of the two vectors at the end; dot is the published one"
    )


ENTRY = register(
    "poly_encoder",
    options=PolyEncoderOptions,
    kind="late interaction: several views of the user, weighed by the item",
    source="Humeau et al., ICLR 2020",
    link="https://arxiv.org/abs/1905.01969",
)
