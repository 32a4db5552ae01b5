"""Options of DAT, and what is known of it without TensorFlow."""

from pydantic import Field

from models.options import Similarity, TowerOptions
from models.registry import register


class DATOptions(TowerOptions):
    """Options of DAT."""

    similarity: Similarity = Field(
        "scaled_cosine", description="similarity of the two vectors; cosine has its scale held to 1, as published"
    )
    user_mimic_weight: float = Field(0.5, ge=0, description="weight of the user's adaptive-mimic loss")
    item_mimic_weight: float = Field(0.5, ge=0, description="weight of the item's adaptive-mimic loss")
    category_weight: float = Field(0.1, ge=0, description="weight of the category alignment loss")


ENTRY = register(
    "dat",
    options=DATOptions,
    kind="early interaction: augmented vectors that mimic the other side",
    source="Yu et al., DLP-KDD 2021",
    link="https://dlp-kdd.github.io/assets/pdf/DLP-KDD_2021_paper_4.pdf",
)
