import numpy as np
import pytest
import tensorflow as tf

from layers import LightweightSimilarityScorer

USER_HEADS, ITEM_HEADS, DIM = 3, 2, 4


def make(width, scaled=False):
    layer = LightweightSimilarityScorer(width, scaled, seed=1)
    layer.build([(None, USER_HEADS, DIM), (None, ITEM_HEADS, DIM)])
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def heads(users, items):
    random = np.random.default_rng(0)
    shapes = (users, USER_HEADS, DIM), (items, ITEM_HEADS, DIM)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def expected(layer, user, item):
    scale, *weights = (
        (np.array(weight) for weight in layer.weights) if layer.scaled else (1, *map(np.array, layer.weights))
    )
    hidden = scale * user @ item.T
    if layer.width is not None:
        rows, rows_bias, columns, columns_bias, *weights = weights
        hidden = np.maximum(hidden @ rows + rows_bias, 0)  # (H_u, width)
        hidden = np.maximum(hidden.T @ columns + columns_bias, 0)  # (width, width)
    return (hidden.ravel() @ weights[0] + weights[1])[0]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("width", [1, 5, None])
def test_score(width, scaled):
    layer, (user, item) = make(width, scaled), heads(6, 6)
    found = layer([user, item])
    assert found.shape == (6,)
    np.testing.assert_allclose(
        found, [expected(layer, u, v) for u, v in zip(user, item, strict=True)], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("width", [5, None])
def test_one_user_against_many_items(width):
    layer, (user, item) = make(width), heads(1, 7)
    np.testing.assert_allclose(layer([user, item]), [expected(layer, user[0], v) for v in item], rtol=1e-4, atol=1e-4)


def test_every_weight_has_a_gradient():
    layer, inputs = make(5, scaled=True), heads(6, 6)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs))
    assert len(layer.trainable_weights) == 7
    for gradient in tape.gradient(total, layer.trainable_weights):
        assert np.abs(gradient).max() > 0
