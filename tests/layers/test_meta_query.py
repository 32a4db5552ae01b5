import numpy as np
import pytest
import tensorflow as tf

from layers import MetaQuery


def make(vectors=5, width=6):
    layer = MetaQuery(vectors, seed=1)
    layer.build((None, width))
    return layer


def attributes(rows=8, width=6):
    return np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)


def softmax(values):
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("vectors", [1, 5])
def test_hard_query(vectors):
    layer, items = make(vectors), attributes()
    matrix = np.array(layer.meta_matrix)
    group = matrix @ matrix.T @ matrix
    closest = np.argmax(items @ matrix.T, axis=1)
    assert vectors == 1 or len(set(closest)) > 1
    np.testing.assert_allclose(layer.queries(), group, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.index(items), closest)
    for _ in range(2):
        np.testing.assert_allclose(layer(items), group[closest], rtol=1e-5, atol=1e-6)
    assert int(layer.step) == 0


@pytest.mark.parametrize("vectors", [1, 5])
def test_soft_query_at_each_step(vectors):
    layer, items = make(vectors), attributes()
    layer.plan(4)
    matrix = np.array(layer.meta_matrix)
    for step in range(7):
        temperature = 0.001 ** min(1, step / 4)
        assert float(layer.temperature()) == pytest.approx(temperature, rel=1e-5)
        expected = softmax(items @ matrix.T / temperature) @ matrix @ matrix.T @ matrix
        np.testing.assert_allclose(layer(items, training=True), expected, rtol=1e-3, atol=1e-5)
        assert int(layer.step) == step + 1
    np.testing.assert_allclose(layer(items, training=True), layer(items), rtol=1e-3, atol=1e-5)


def test_the_temperature_is_1_without_a_plan():
    layer = make()
    layer(attributes(), training=True)
    assert float(layer.temperature()) == 1


def test_the_initial_matrix_is_kaiming_uniform():
    matrix = np.array(make(vectors=300, width=24).meta_matrix)
    assert np.abs(matrix).max() == pytest.approx(0.5, rel=1e-2)
    assert matrix.std() == pytest.approx(0.5 / np.sqrt(3), rel=2e-2)


def test_the_soft_query_has_a_gradient_and_the_hard_one_none():
    layer, items = make(), tf.constant(attributes())
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(items)
            total = tf.reduce_sum(layer(items, training=training) ** 2)
        gradient = tape.gradient(total, items)
        assert (gradient is not None) == training
        assert not training or np.abs(gradient).max() > 1e-3
