"""Scorers of models whose item mixes several vectors of the user to one."""

import math
from collections.abc import Mapping

import numpy as np

from prerank.kernels.states import norm, only, row_products, unit


class Gate:
    """MVKE's virtual-kernel gate (Xu et al., KDD 2022).

    `scale · sim(Σ_k a_k u_k, v) + bias` with `a = softmax(<v, kernel_k> / √D)`, which depends on the item only and is
    stored with it.
    """

    outputs = 1
    chunk = 4096

    def __init__(self, weights: Mapping[str, np.ndarray], cosine: bool):
        self._scale, self._bias = np.float32(weights["scale"]), np.float32(weights["bias"])
        self._keys, self._cosine = weights["keys"], cosine

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        item = only(states)
        gate = _softmax(self._keys @ item.T / np.float32(math.sqrt(item.shape[1]))).T
        return {"gate": gate[np.newaxis], "vectors": (unit(item) if self._cosine else item)[np.newaxis]}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return only(user)  # (K, D)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        chosen = items["gate"][0] @ user
        products = row_products(chosen, items["vectors"][0])
        if self._cosine:
            products /= norm(chosen)
        return products * self._scale + self._bias


class Attention:
    """The last step of Poly-Encoder (Humeau et al., ICLR 2020, section 4.4).

    `scale · sim(Σ_k a_k u_k, v) + bias` with `a = softmax(<v, u_k>)`.
    """

    outputs = 1
    chunk = 4096

    def __init__(self, weights: Mapping[str, np.ndarray], cosine: bool):
        self._scale, self._bias = np.float32(weights["scale"]), np.float32(weights["bias"])
        self._cosine = cosine

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        item = only(states)
        norms = {"norms": norm(item).reshape(1, -1, 1)} if self._cosine else {}
        return {"vectors": item[np.newaxis], **norms}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return only(user)  # (K, D)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        products = user @ items["vectors"][0].T
        weights = _softmax(products)
        score = np.einsum("kn,kn->n", weights, products)
        if self._cosine:
            score /= norm(weights.T @ user) * items["norms"][0, :, 0]
        return score * self._scale + self._bias


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the first axis of (K, n)."""
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    return weights
