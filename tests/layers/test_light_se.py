import numpy as np
import tensorflow as tf

from layers import LightSE


def test_value():
    random = np.random.default_rng(0)
    fields = random.normal(size=(6, 3, 4))
    layer = LightSE()
    layer.build(fields.shape)
    kernel, bias = random.normal(size=(3, 3)), random.normal(size=3)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    exponentials = np.exp(fields.mean(axis=2) @ kernel + bias)
    attention = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer(tf.constant(fields, tf.float32)), fields * (1 + attention[..., None]), rtol=1e-5)


def test_fields_are_never_weakened():
    fields = tf.random.stateless_normal([6, 3, 4], [1, 2])
    ratio = LightSE()(fields).numpy() / fields.numpy()
    assert (ratio > 1).all()
    np.testing.assert_allclose(ratio[..., 0].sum(axis=1), 4, rtol=1e-5)
