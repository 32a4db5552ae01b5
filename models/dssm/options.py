"""Options of DSSM, and what is known of it without TensorFlow."""

from pydantic import Field

from models.options import Similarity, TowerOptions
from models.registry import register


class DSSMOptions(TowerOptions):
    """Options of DSSM."""

    similarity: Similarity = Field(
        "scaled_cosine", description="similarity of the two vectors; cosine has its scale held to 1, as published"
    )


ENTRY = register(
    "dssm",
    options=DSSMOptions,
    kind="vanilla two-tower: cosine with a learned scale",
    source="Huang et al., CIKM 2013",
    link="https://doi.org/10.1145/2505515.2505665",
)
