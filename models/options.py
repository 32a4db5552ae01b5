"""Typed options that several models have in common. A model's own options are in its folder."""

from typing import Literal

from pydantic import Field, PositiveInt

from prerank.options import Options

Similarity = Literal["scaled_cosine", "cosine", "dot"]
"""As `layers.scaled_similarity` has it, which needs TensorFlow."""
NOT_CALIBRATED = "sampled softmax orders the items of a user, its logit is not the log-odds of a positive"
"""Why the logit of a retrieval model is no log-odds."""


class ModelOptions(Options):
    """Options of every model. Each field is a flag of the training scripts and a key of `config.yaml`."""

    embedding_dim: PositiveInt = Field(32, description="size of an embedding")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate after each hidden layer")


class TowerOptions(ModelOptions):
    """Options of every model that is made of towers."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 32), min_length=1, description="widths of a tower's layers, comma-separated"
    )


class RankingOptions(TowerOptions):
    """Options of every ranking model of deepctr."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300, 128), min_length=1, description="widths of the deep part's layers, comma-separated"
    )


class RetrievalOptions(TowerOptions):
    """Options of every retrieval model."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (300, 300),
        min_length=1,
        description="widths of the user tower's layers, comma-separated; embedding_dim follows",
    )
    temperature: float = Field(0.05, gt=0, description="inner products of vectors of length 1 are divided by it")
    sampled_items: PositiveInt = Field(512, description="items drawn uniformly at each step as negatives")
    negatives_from: Literal["catalogue", "batch", "mixed"] = Field(
        "catalogue",
        description="negatives of a positive: drawn items of the catalogue, the batch's other positives, or both",
    )
    correction: Literal["log_q", "refined", "none"] = Field(
        "log_q", description="of the negatives' chances: log_q; refined, without the positive in the sum; or none"
    )


class MixtureOptions(TowerOptions):
    """Options of a mixture of logits, for every model whose heads it can score."""

    mixture_hidden: PositiveInt = Field(128, description="mixture of logits: width of the gates' hidden layers")
    mixture_temperature: float = Field(
        0.0, ge=0, description="mixture of logits: products are divided by it, 0.05 is published; 0: a learned scale"
    )
    mixture_dropout: float = Field(0.2, ge=0, lt=1, description="mixture of logits: dropout rate of the weights")
    mixture_balance: float = Field(
        0.001, ge=0, description="mixture of logits: weight of the loss by which all pairs of heads are used"
    )
