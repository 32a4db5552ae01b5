"""Options of EASE, and what is known of it without TensorFlow."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from models.options import ModelOptions
from models.registry import register


class EASEOptions(ModelOptions):
    """Options of :class:`models.ease.model.EASE`."""

    embedding_dim: PositiveInt = Field(64, description="rank of the item-to-item weights")
    item_l2: PositiveFloat = Field(300.0, description="L2 penalty on the item-to-item weights, in positives of an item")
    history_weight: NonNegativeFloat = Field(5.0, description="weight of the history against the log of popularity")
    half_life: NonNegativeFloat = Field(
        10.0, description="days after which a positive counts half for popularity; 0: all count the same"
    )
    steady_share: float = Field(
        0.05, gt=0, le=1, description="weight of all positives beside the recent ones in popularity"
    )
    most_items: PositiveInt = Field(
        20_000,
        description="most frequent items that have item-to-item weights; others have popularity only. Training takes "
        "8 bytes for each pair of them, 3.2 GB for 20000",
    )


ENTRY = register(
    "ease",
    options=EASEOptions,
    kind="retrieval: item-to-item weights in closed form, and recent popularity",
    source="after Steck, WWW 2019",
    link="https://arxiv.org/abs/1905.03375",
    limits={
        "calibrated": "its score orders the items of a user, it is not the log-odds of a positive",
        "differentiable": "its weights have a closed form",
    },
)
