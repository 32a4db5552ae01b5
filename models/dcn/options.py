"""Options of DCN, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import RankingOptions
from models.registry import register


class DCNOptions(RankingOptions):
    """Options of DCN and DCN V2."""

    cross_layers: PositiveInt = Field(2, description="layers of the cross network")


ENTRY = register(
    "dcn",
    options=DCNOptions,
    kind="ranking model of DeepCTR",
    source="Wang et al., ADKDD 2017",
    link="https://arxiv.org/abs/1708.05123",
    decoupled=False,
)
