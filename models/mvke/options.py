"""Options of MVKE, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import Similarity, TowerOptions
from models.registry import register


class MVKEOptions(TowerOptions):
    """Options of MVKE."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 32), min_length=1, description="widths of the item's tower; the last is that of all vectors"
    )
    kernels: PositiveInt = Field(5, description="virtual kernels, each of which gives a user a vector")
    similarity: Similarity = Field(
        "scaled_cosine", description="similarity of the two vectors; cosine has its scale held to 1"
    )


ENTRY = register(
    "mvke",
    options=MVKEOptions,
    kind="early interaction: virtual kernels, each with an expert of its own",
    source="Xu et al., KDD 2022",
    link="https://arxiv.org/abs/2106.07356",
)
