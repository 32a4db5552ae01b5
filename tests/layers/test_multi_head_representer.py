import numpy as np
import pytest
import tensorflow as tf

from layers import MultiHeadRepresenter


@pytest.mark.parametrize("normalize", [False, True])
def test_a_linear_map_to_heads(normalize):
    layer = MultiHeadRepresenter(heads=3, head_dim=2, normalize=normalize)
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    layer.build((None, 4))
    for weight in layer.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [1, len(weight.shape)]))
    kernel, bias = (np.array(weight) for weight in layer.weights)
    heads = layer(inputs)
    assert heads.shape == (5, 3, 2)
    for head in range(3):
        columns = slice(2 * head, 2 * head + 2)
        expected = inputs @ kernel[:, columns] + bias[columns]
        if normalize:
            expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(heads[:, head], expected, rtol=1e-4, atol=1e-5)
    assert (heads.numpy() < 0).any()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_zero_head_has_a_bounded_gradient(policy):
    """A tower ends in ReLU and dropout: for a row whose every unit is 0, and a bias of 0, the heads are 0."""
    layer = MultiHeadRepresenter(2, 3, normalize=True, dtype=tf.keras.mixed_precision.Policy(policy))
    inputs = tf.zeros([4, 5])
    with tf.GradientTape() as tape:
        heads = layer(inputs)
        loss = tf.reduce_sum(heads)
    assert np.all(np.array(heads) == 0)
    kernel, bias = layer.trainable_weights
    np.testing.assert_allclose(tape.gradient(loss, [kernel, bias])[1], np.full(6, 4e3), rtol=1e-2)
