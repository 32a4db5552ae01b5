"""Options of UniMatch, and what is known of it without TensorFlow."""

from pydantic import Field, model_validator

from models.options import TowerOptions
from models.registry import register


class UniMatchOptions(TowerOptions):
    """Options of UniMatch.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or both weights 0.
    """

    temperature: float = Field(0.05, gt=0, description="inner products of vectors of length 1 are divided by it")
    item_weight: float = Field(1.0, ge=0, description="weight of the loss over the items of a batch")
    user_weight: float = Field(1.0, ge=0, description="weight of the loss over the users of a batch")

    @model_validator(mode="after")
    def _check_weights(self) -> "UniMatchOptions":
        if not self.item_weight and not self.user_weight:
            raise ValueError("--item_weight and --user_weight: expected one above 0")
        return self


ENTRY = register(
    "uni_match",
    options=UniMatchOptions,
    kind="retrieval: one vector a side, for items of a user and for users of an item",
    source="after UniMatch, arXiv 2307.09989",
    link="https://arxiv.org/abs/2307.09989",
    limits={
        "calibrated": "its logit is the log probability of the pair among all positives, up to a constant, and not "
        "the log-odds of a positive"
    },
)
