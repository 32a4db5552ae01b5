"""Scorers of models with one vector or number a side, or several vectors of the user of which the best counts."""

from collections.abc import Mapping

import numpy as np

from prerank.kernels.states import only, unit


class Additive:
    """`user + item + bias`: LR and the floor."""

    outputs = 1
    chunk = 1 << 16

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._bias = np.float32(weights["bias"])

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": only(states).reshape(1, -1, 1)}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.float32:
        return np.float32(only(user)) + self._bias

    def score(self, user: np.float32, items: Mapping[str, np.ndarray]) -> np.ndarray:
        return items["logits"][0, :, 0] + user


class Dot:
    """`scale · <u, v> + bias`; several heads a side count as one long vector."""

    outputs = 1
    chunk = 4096

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._scale, self._bias = np.float32(weights["scale"]), np.float32(weights["bias"])

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        item = only(states)
        return {"vectors": item.reshape(1, len(item), -1)}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._scale * only(user).reshape(-1)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        return items["vectors"][0] @ user + self._bias


class Cosine(Dot):
    """`scale · cos(u, v) + bias`: DSSM and DAT. Items are stored at length 1."""

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"vectors": unit(super().arrange(states)["vectors"])}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._scale * unit(only(user).reshape(-1))


class MaxInterest(Dot):
    """`scale · max_k <u_k, v> + bias`: MIND."""

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(only(user).T)  # (D, K)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        first, *others = (items["vectors"][0] @ user).T
        for products in others:
            first = np.maximum(first, products)
        return first * self._scale + self._bias
