import numpy as np
import pytest
import tensorflow as tf

from layers import BottleneckExcitation


@pytest.mark.parametrize(("fields", "bottleneck"), [(6, 3), (2, 2), (5, 2)])
def test_gates(fields, bottleneck):
    random = np.random.default_rng(0)
    layer, x = BottleneckExcitation(seed=1), random.normal(size=(7, fields, 4)).astype(np.float32)
    layer.build((None, fields, 4))
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    w1, b1, w2, b2 = (np.array(weight) for weight in layer.weights)
    assert w1.shape == (fields, bottleneck)
    hidden = np.maximum(x.mean(axis=2) @ w1 + b1, 0)
    normed = (hidden - hidden.mean(axis=1, keepdims=True)) / np.sqrt(hidden.var(axis=1, keepdims=True) + 1e-5)
    gates = 1 / (1 + np.exp(-(normed @ w2 + b2)))
    np.testing.assert_allclose(layer(tf.constant(x)), x * gates[..., np.newaxis], rtol=1e-3, atol=1e-4)
