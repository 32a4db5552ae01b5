"""Options of CETNet, and what is known of it without TensorFlow."""

from pydantic import Field

from models.mlcc.options import MLCCOptions
from models.registry import register


class CETNetOptions(MLCCOptions):
    """Options of CETNet; those of MLCC are of its second network, and the widths of the deep part of both."""

    divergence_weight: float = Field(0.1, ge=0, description="weight of the networks' divergence in the loss")
    fusion_temperature: float = Field(1.0, gt=0, description="how little the more certain network counts more")


ENTRY = register(
    "cet_net",
    options=CETNetOptions,
    kind="ranking model: two networks with tables of their own, fused by how certain they are",
    source="after CETNet, arXiv 2411.13700",
    link="https://arxiv.org/abs/2411.13700",
    decoupled=False,
)
