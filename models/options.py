"""Typed options that models have in common. A model's own options live beside it."""

from pydantic import Field, PositiveInt

from prerank.options import Options


class ModelOptions(Options):
    """Options of every model. Each field is a flag of the training scripts and a key of `config.yaml`."""

    embedding_dim: PositiveInt = Field(32, description="size of an embedding")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate after each hidden layer")


class TowerOptions(ModelOptions):
    """Options of every model that is made of towers."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 32), min_length=1, description="widths of a tower's layers, comma-separated"
    )
