import numpy as np
import tensorflow as tf

from layers import SqueezeExcitation


def test_value():
    random = np.random.default_rng(0)
    fields = random.normal(size=(6, 3, 4))
    layer = SqueezeExcitation()
    layer.build(fields.shape)
    kernel, bias = random.normal(size=(12, 3)), random.normal(size=3)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    gate = 1 / (1 + np.exp(-(fields.reshape(6, 12) @ kernel + bias)))
    np.testing.assert_allclose(layer(tf.constant(fields, tf.float32)), fields * gate[..., None], rtol=1e-4, atol=1e-6)
