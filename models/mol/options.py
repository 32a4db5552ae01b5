"""Options of MoL, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt, model_validator

from models.options import MixtureOptions
from models.registry import register


class MoLOptions(MixtureOptions):
    """Options of MoL.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or the user id as a head, and no other head.
    """

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300), min_length=1, description="widths of a tower's layers, comma-separated"
    )
    user_heads: PositiveInt = Field(8, description="heads of the user")
    item_heads: PositiveInt = Field(4, description="heads of the item")
    head_dim: PositiveInt = Field(16, description="size of a head; 64 is published for MovieLens-1M")
    user_id_head: bool = Field(False, description="one of the user's heads is an embedding of the user id")
    user_id_dropout: float = Field(0.5, ge=0, lt=1, description="dropout rate of that embedding's numbers")
    user_id_penalty: float = Field(0.1, ge=0, description="weight of that embedding's mean squared length in the loss")

    @model_validator(mode="after")
    def _check_heads(self) -> "MoLOptions":
        if self.user_id_head and self.user_heads == 1:
            raise ValueError("--user_id_head needs --user_heads of at least 2")
        return self


ENTRY = register(
    "mol",
    options=MoLOptions,
    kind="late interaction: a gate of user, item and products weighs all pairs of heads",
    source="Zhai et al., KDD 2023, arXiv 2306.04039",
    link="https://arxiv.org/abs/2306.04039",
)
