import numpy as np

from layers import GatedHeads


def test_heads():
    layer, inputs = GatedHeads(3, 2, seed=1), np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    layer.build((None, 4))
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    kernel, bias, gate_kernel, gate_bias = (np.array(weight) for weight in layer.weights)
    expected = (inputs @ kernel + bias) / (1 + np.exp(-(inputs @ gate_kernel + gate_bias)))
    expected = expected.reshape(6, 3, 2)
    expected /= np.linalg.norm(expected, axis=2, keepdims=True)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-5)
