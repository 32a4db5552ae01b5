"""Options of COLD, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import TowerOptions
from models.registry import register


class COLDOptions(TowerOptions):
    """Options of COLD."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 128), min_length=1, description="widths of the tower's layers, comma-separated"
    )


ENTRY = register(
    "cold",
    options=COLDOptions,
    kind="light single tower: fields gated by squeeze-and-excitation",
    source="Wang et al., DLP-KDD 2020",
    link="https://arxiv.org/abs/2007.16122",
    decoupled=False,
    one_tower_tasks=True,
)
