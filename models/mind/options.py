"""Options of MIND, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import NOT_CALIBRATED, RetrievalOptions
from models.registry import register


class MINDOptions(RetrievalOptions):
    """Options of MIND."""

    interests: PositiveInt = Field(2, description="interests of a user")
    routing_iterations: PositiveInt = Field(3, description="rounds of routing behaviours to interests")
    attention_power: float = Field(20.0, ge=0, description="how sharply an item picks the closest interest in training")


ENTRY = register(
    "mind",
    options=MINDOptions,
    kind="retrieval: several interests a user, sampled softmax on positives",
    source="Li et al., CIKM 2019, arXiv 1904.08030",
    link="https://arxiv.org/abs/1904.08030",
    limits={"calibrated": NOT_CALIBRATED},
)
