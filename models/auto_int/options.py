"""Options of AutoInt, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import RankingOptions
from models.registry import register


class AutoIntOptions(RankingOptions):
    """Options of AutoInt."""

    attention_layers: PositiveInt = Field(3, description="interacting layers")
    attention_heads: PositiveInt = Field(2, description="heads of an interacting layer")
    attention_dim: PositiveInt = Field(8, description="size of a head")


ENTRY = register(
    "auto_int",
    options=AutoIntOptions,
    kind="ranking model of DeepCTR",
    source="Song et al., CIKM 2019",
    link="https://arxiv.org/abs/1810.11921",
    decoupled=False,
)
