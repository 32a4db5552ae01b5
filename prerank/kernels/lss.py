"""FIT's scorers of all inner products of two sets of heads."""

from collections.abc import Mapping

import numpy as np

from prerank.kernels.states import only


class LightweightScorer:
    """FIT's lightweight similarity scorer (Xiong et al., SIGIR 2025, arXiv 2509.12948).

    `S = scale · U Vᵀ`, a dense layer over item heads, ReLU, one over user heads, ReLU, one output. Items lie
    head-major, (H_v, N, d). Everything computed has the items on its last axis: long rows, whatever the few heads and
    the small width are.
    """

    outputs = 1
    chunk = 1024

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._scale = np.float32(weights["scale"])
        self._rows = np.ascontiguousarray(weights["rows_kernel"].T)  # (width, H_v)
        self._rows_bias = weights["rows_bias"][:, np.newaxis]
        self._columns = np.ascontiguousarray(weights["columns_kernel"].T)  # (width, H_u)
        self._columns_bias = weights["columns_bias"][:, np.newaxis]
        width = len(self._rows)
        # the layer flattens (rows, columns), here columns come first
        self._output = np.ascontiguousarray(weights["output_kernel"].reshape(width, width).T).reshape(-1)
        self._bias = np.float32(weights["output_bias"][0] + weights["bias"])

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"heads": np.ascontiguousarray(only(states).transpose(1, 0, 2))}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._scale * only(user)  # (H_u, d)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        products = np.matmul(user, items["heads"].transpose(0, 2, 1))  # (H_v, H_u, n)
        rows = np.matmul(self._rows, products.transpose(1, 0, 2))  # (H_u, width, n)
        rows += self._rows_bias
        np.maximum(rows, 0, out=rows)
        columns = self._columns @ rows.reshape(len(user), -1)  # (width, width · n)
        columns += self._columns_bias
        np.maximum(columns, 0, out=columns)
        return self._output @ columns.reshape(len(self._output), -1) + self._bias


class FullyConnected:
    """FIT's ablation: one fully connected layer on all inner products of heads.

    It is linear in the item's heads, so a request folds layer and user heads to one vector.
    """

    outputs = 1
    chunk = 4096

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._kernel = np.float32(weights["scale"]) * weights["output_kernel"][:, 0]
        self._bias = np.float32(weights["output_bias"][0] + weights["bias"])

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        item = only(states)
        return {"vectors": item.reshape(1, len(item), -1)}

    def prepare(self, user: Mapping[str, np.ndarray]) -> np.ndarray:
        heads = only(user)
        return (self._kernel.reshape(len(heads), -1).T @ heads).reshape(-1)

    def score(self, user: np.ndarray, items: Mapping[str, np.ndarray]) -> np.ndarray:
        return items["vectors"][0] @ user + self._bias
