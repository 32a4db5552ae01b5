import numpy as np
import pytest
import tensorflow as tf

from layers import MimicGenerator


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_two_dense_layers(activation):
    layer = MimicGenerator(6, activation)
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    layer.build((None, 4))
    for weight in layer.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [1, len(weight.shape)]))
    kernel_1, bias_1, kernel_2, bias_2 = (np.array(weight) for weight in layer.weights)
    assert kernel_1.shape == (4, 6)
    assert kernel_2.shape == (6, 6)
    expected = np.maximum(inputs @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
    if activation == "relu":
        expected = np.maximum(expected, 0)
    else:
        assert (expected < 0).any()
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-5)


def test_no_gradient_enters_the_input():
    layer = MimicGenerator(6)
    inputs = tf.Variable(tf.random.stateless_normal([5, 4], [1, 2]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs) ** 2)
    of_input, *of_weights = tape.gradient(loss, [inputs, *layer.trainable_weights])
    assert of_input is None
    assert len(of_weights) == 4
    assert all(np.abs(gradient).max() > 0 for gradient in of_weights)


def test_initial_weights_are_given_by_the_seed():
    first, same, other = (MimicGenerator(6, seed=seed) for seed in (3, 3, 4))
    inputs = tf.ones([2, 4])
    np.testing.assert_array_equal(first(inputs), same(inputs))
    assert not np.allclose(first(inputs), other(inputs))
    square = MimicGenerator(6, seed=3)
    square.build((None, 6))
    hidden, output = (np.array(weight) for weight in square.weights if len(weight.shape) == 2)
    assert not np.allclose(hidden, output)
