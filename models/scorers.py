"""What a model's `score` computes, as a kind and arrays, for a server that does it without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from layers import LightweightSimilarityScorer, MaxSim, MixtureOfLogits, ScaledSimilarity


@dataclass(frozen=True)
class ScorerSpec:
    """A scorer by the name of its formula.

    Attributes:
        kind: name of the formula; a server has a kernel of the same name. "outer/inner" where an item first chooses or
            mixes what of the user it meets ("meta_query", "gate" or "attention").
        weights: the formula's float32 arrays by name.
    """

    kind: str
    weights: Mapping[str, np.ndarray]

    def within(self, outer: str, **weights: np.ndarray) -> "ScorerSpec":
        """The scorer of what `outer` makes of a user's several vectors or states."""
        return ScorerSpec(f"{outer}/{self.kind}", {**self.weights, **weights})


def additive() -> ScorerSpec:
    """`user + item`, of one number each."""
    return ScorerSpec("additive", {})


def similarity(layer: ScaledSimilarity) -> ScorerSpec:
    """`scale · cos(u, v)` or `<u, v>`, as `layer` has it."""
    if layer.similarity == "dot":
        return dot(1.0)
    return ScorerSpec("cosine", {"scale": _scale(layer, layer.similarity == "scaled_cosine")})


def dot(scale: float) -> ScorerSpec:
    """`scale · <u, v>`."""
    return ScorerSpec("dot", {"scale": np.array(scale, np.float32)})


def max_interest(scale: float) -> ScorerSpec:
    """`scale · max_k <u_k, v>`."""
    return ScorerSpec("max_interest", {"scale": np.array(scale, np.float32)})


def max_sim(layer: MaxSim) -> ScorerSpec:
    """`scale · Σ_h max_k <u_h, v_k>`."""
    return ScorerSpec("max_sim", {"scale": _scale(layer, layer.scaled)})


def lightweight(layer: LightweightSimilarityScorer) -> ScorerSpec:
    """The network of `layer` on all inner products of heads: "lss", or "fully_connected" without its two layers."""
    weights = {"scale": _scale(layer, layer.scaled)}
    return ScorerSpec("fully_connected" if layer.width is None else "lss", weights | layer.arrays())


def mixture(layer: MixtureOfLogits) -> ScorerSpec:
    """The mixture of logits of `layer`, given heads and gates of both sides."""
    return ScorerSpec("mixture", layer.arrays())


def _scale(layer: MaxSim | ScaledSimilarity | LightweightSimilarityScorer, learned: bool) -> np.ndarray:
    return layer.scale.numpy() if learned else np.array(1.0, np.float32)
