"""Options of IntTower, and what is known of it without TensorFlow."""

from typing import Literal

from pydantic import Field, PositiveInt

from models.options import TowerOptions
from models.registry import register


class IntTowerOptions(TowerOptions):
    """Options of IntTower."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 128), min_length=1, description="widths of a tower's layers, comma-separated"
    )
    user_heads: PositiveInt = Field(2, description="heads of each user layer")
    item_heads: PositiveInt = Field(2, description="heads of the item")
    head_dim: PositiveInt = Field(64, description="size of a head")
    similarity: Literal["scaled_cosine", "dot"] = Field(
        "scaled_cosine", description="similarity of two heads; dot is the published one"
    )
    cir_weight: float = Field(0.1, ge=0, description="weight of the contrastive regularisation; 0 leaves it out")
    cir_temperature: float = Field(0.07, gt=0, description="temperature of the contrastive regularisation")
    only_last_layer: bool = Field(
        False, description="score by the last user layer only, the published faster inference; training uses all"
    )


ENTRY = register(
    "int_tower",
    options=IntTowerOptions,
    kind="late interaction: every user layer meets the item's last; contrastive regularisation",
    source="Li et al., CIKM 2022, arXiv 2210.09890",
    link="https://arxiv.org/abs/2210.09890",
)
