"""The late interaction of HIT, IntTower and RankTower."""

from collections.abc import Mapping

import numpy as np

from prerank.kernels.states import only


class MaxSim:
    """`scale · Σ_h max_k <u_h, v_k> + bias`.

    Items lie head-major, (H_v, N, d): a matrix product a head, and a running maximum over contiguous arrays, which is
    several times as fast as a maximum over a short inner axis. Rows of a head stay whole, so that gathering a few
    candidates touches few cache lines.
    """

    outputs = 1
    chunk = 4096

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._scale, self._bias = np.float32(weights["scale"]), np.float32(weights["bias"])

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"heads": np.ascontiguousarray(only(states).transpose(1, 0, 2))}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(only(user).T)  # (d, H_u)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        best, *others = np.matmul(items["heads"], user)  # (n, H_u) each
        for products in others:
            np.maximum(best, products, out=best)
        # a product with a vector sums short rows faster than `sum` does
        return best @ np.full(best.shape[1], self._scale) + self._bias
