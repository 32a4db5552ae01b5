"""Options of HIT, and what is known of it without TensorFlow."""

from typing import Literal

from pydantic import Field, PositiveInt

from models.options import MixtureOptions
from models.registry import register


class HITOptions(MixtureOptions):
    """Options of HIT."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300), min_length=1, description="widths of a tower's layers, comma-separated; 300,300,32 is published"
    )
    user_heads: PositiveInt = Field(2, description="heads of the user")
    item_heads: PositiveInt = Field(2, description="heads of the item")
    head_dim: PositiveInt = Field(16, description="size of a head")
    scorer: Literal["max_sim", "mol"] = Field(
        "max_sim", description="max_sim, the published one; mol, a mixture of logits of heads of length 1"
    )
    similarity: Literal["scaled_cosine", "dot"] = Field(
        "scaled_cosine", description="of max_sim: similarity of two heads; dot is the published one"
    )
    generation_loss: Literal["cosine", "mse", "mae", "euclidean", "manhattan", "reference_cosine", "none"] = Field(
        "cosine",
        description="distance of a mimic vector to the opposite heads; none leaves the generators out, "
        "reference_cosine is the public code's, of the opposite sign",
    )
    generation_weight: float = Field(0.1, ge=0, description="weight of the generation loss")
    generators: Literal["both", "target", "non_target"] = Field("both", description="which generators a tower has")
    generator_output_activation: Literal["linear", "relu"] = Field(
        "linear", description="activation of a generator's last layer; relu is the public code's"
    )


ENTRY = register(
    "hit",
    options=HITOptions,
    kind="early and late interaction: generators of mimic vectors, several heads a side",
    source="Yang et al., arXiv 2505.19849",
    link="https://arxiv.org/abs/2505.19849",
)
