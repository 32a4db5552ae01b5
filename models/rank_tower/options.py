"""Options of RankTower, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import TowerOptions
from models.registry import register


class RankTowerOptions(TowerOptions):
    """Options of RankTower."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300), min_length=1, description="widths of a tower's layers below the heads, comma-separated"
    )
    user_heads: PositiveInt = Field(4, description="heads of the user")
    item_heads: PositiveInt = Field(4, description="heads of the item")
    head_dim: PositiveInt = Field(16, description="size of a head")
    prototypes: PositiveInt = Field(8, description="prototypes of the other side's heads that a side attends over")
    listwise_weight: float = Field(
        0.0, ge=0, description="weight of a listwise loss over the rows of a user within a batch"
    )


ENTRY = register(
    "rank_tower",
    options=RankTowerOptions,
    kind="late interaction: gated heads that attend over prototypes of the other side's; our decoupled variant",
    source="after Yan & Li, arXiv 2407.12385",
    link="https://arxiv.org/abs/2407.12385",
)
