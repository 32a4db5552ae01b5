import numpy as np
import pytest

from layers import PrototypeAttention


def softmax(values):
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("prototypes", [1, 5])
def test_each_head_by_itself(prototypes):
    layer = PrototypeAttention(prototypes, seed=1)
    heads = np.random.default_rng(0).normal(size=(6, 3, 4)).astype(np.float32)
    layer.build((None, 3, 4))
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    matrix, gate_kernel = (np.array(weight) for weight in layer.weights)
    found = layer(heads)
    for row, place in np.ndindex(6, 3):
        head = heads[row, place]
        context = softmax(matrix @ head / 2) @ matrix
        gate = 1 / (1 + np.exp(-np.concatenate([head, context]) @ gate_kernel))
        expected = head * gate + context
        np.testing.assert_allclose(found[row, place], expected / np.linalg.norm(expected), rtol=1e-4, atol=1e-5)
