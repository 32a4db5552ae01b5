"""MoL's scorer of all inner products of two sets of heads."""

from collections.abc import Mapping

import numpy as np

_HALF = np.float32(0.5)


class Mixture:
    """Mixture of logits (Zhai et al., KDD 2023, arXiv 2306.04039): `Σ π l + bias`, see `layers.mixture_of_logits`.

    Items lie head-major, (H_v, N, d), with their gate beside them. Everything computed has the items on its last axis:
    long rows, whatever the few pairs of heads are.
    """

    outputs = 1
    chunk = 1024

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._scale, self._bias = np.float32(weights["scale"]), np.float32(weights["bias"])
        self._hidden = np.ascontiguousarray(weights["hidden_kernel"].T)  # (hidden, L)
        self._hidden_bias = weights["hidden_bias"][:, np.newaxis]
        self._output = np.ascontiguousarray(weights["output_kernel"].T)  # (L, hidden)
        self._output_bias = weights["output_bias"][:, np.newaxis]

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        heads = np.ascontiguousarray(states["item_heads"].transpose(1, 0, 2))
        return {"heads": heads, "gate": states["item_gate"][np.newaxis]}

    def prepare(self, user: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return self._scale * user["user_heads"], user["user_gate"][:, np.newaxis]  # (H_u, d), (L, 1)

    def score(self, user: tuple[np.ndarray, np.ndarray], items: Mapping[str, np.ndarray]) -> np.ndarray:
        heads, gate = user
        products = np.matmul(heads, items["heads"].transpose(0, 2, 1))  # (H_v, H_u, n)
        logits = products.transpose(1, 0, 2).reshape(len(gate), -1)  # (L, n)
        hidden = self._hidden @ logits
        hidden += self._hidden_bias
        weights = self._output @ _silu(hidden)
        weights += self._output_bias
        weights += gate * items["gate"][0].T
        weights = _silu(weights)
        weights -= weights.max(axis=0)
        np.exp(weights, out=weights)
        total = weights.sum(axis=0)
        weights *= logits
        return weights.sum(axis=0) / total + self._bias


def _silu(values: np.ndarray) -> np.ndarray:
    """`x · σ(x)`, of a tangent that does not overflow."""
    halves = values * _HALF
    return halves * np.tanh(halves) + halves
