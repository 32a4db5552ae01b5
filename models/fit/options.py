"""Options of FIT, and what is known of it without TensorFlow."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from models.options import MixtureOptions
from models.registry import register


class FITOptions(MixtureOptions):
    """Options of FIT."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300), min_length=1, description="widths of a tower's layers, comma-separated; 300,300,32 is published"
    )
    meta_vectors: PositiveInt = Field(16, description="meta vectors, each of which gives a user a state")
    anneal_epochs: NonNegativeInt = Field(
        5, description="epochs over which the queries' temperature falls, if so many are planned; 0, published, for all"
    )
    without_mqm: bool = Field(
        False, description="leave out the meta query module, and the interaction unit, which has no query then"
    )
    user_heads: PositiveInt = Field(4, description="heads of the user")
    item_heads: PositiveInt = Field(4, description="heads of the item")
    head_dim: PositiveInt = Field(16, description="size of a head")
    scorer: Literal["lss", "dot", "sum_max", "fc", "mol"] = Field(
        "lss",
        description="lss, the lightweight similarity scorer; dot, one inner product; sum_max, as HIT and IntTower; "
        "fc, one fully connected layer; mol, a mixture of logits of heads of length 1",
    )
    scorer_width: PositiveInt = Field(8, description="width of the lightweight similarity scorer")
    similarity: Literal["scaled_cosine", "dot"] = Field(
        "scaled_cosine", description="similarity of two heads; dot is the published one"
    )


ENTRY = register(
    "fit",
    options=FITOptions,
    kind="early and late interaction: meta queries, a learned scorer of all pairs of heads",
    source="Xiong et al., SIGIR 2025, arXiv 2509.12948",
    link="https://arxiv.org/abs/2509.12948",
)
