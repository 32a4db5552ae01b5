import numpy as np
import pytest
import tensorflow as tf

from layers import MaxSim


def heads(users, items, user_heads=3, item_heads=2, dim=4):
    random = np.random.default_rng(0)
    return random.normal(size=(users, user_heads, dim)), random.normal(size=(items, item_heads, dim))


def call(user, item):
    return MaxSim()([tf.constant(user, tf.float32), tf.constant(item, tf.float32)]).numpy()


def max_sim(user, item):
    """The sum over a user's heads of the largest inner product with one of an item's heads."""
    return sum(max(head @ other for other in item) for head in user)


@pytest.mark.parametrize(("user_heads", "item_heads"), [(1, 1), (3, 2), (2, 5)])
def test_row_by_row(user_heads, item_heads):
    user, item = heads(6, 6, user_heads, item_heads)
    np.testing.assert_allclose(call(user, item), [max_sim(u, v) for u, v in zip(user, item, strict=True)], rtol=1e-5)


def test_one_user_against_many_items():
    user, item = heads(1, 7)
    np.testing.assert_allclose(call(user, item), [max_sim(user[0], v) for v in item], rtol=1e-5)


def test_learned_scale():
    user, item = (tf.constant(part, tf.float32) for part in heads(6, 6))
    layer = MaxSim(scaled=True)
    layer.build([user.shape, item.shape])
    layer.scale.assign(3.25)
    expected = np.array([max_sim(u, v) for u, v in zip(user.numpy(), item.numpy(), strict=True)])
    with tf.GradientTape() as tape:
        score = layer([user, item])
    np.testing.assert_allclose(score, 3.25 * expected, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(score, layer.trainable_weights)[0], expected.sum(), rtol=1e-4)
    assert not MaxSim().weights


def test_not_symmetric():
    user, item = heads(1, 1, 2, 2)
    assert not np.allclose(call(user, item), call(item, user))


def test_gradient_goes_to_the_closest_heads():
    user, item = heads(5, 5)
    user, item = tf.Variable(user, dtype=tf.float32), tf.Variable(item, dtype=tf.float32)
    with tf.GradientTape() as tape:
        score = MaxSim()([user, item])
    of_user, of_item = (gradient.numpy() for gradient in tape.gradient(score, [user, item]))
    user, item = user.numpy(), item.numpy()
    expected_user, expected_item = np.zeros_like(user), np.zeros_like(item)
    for row in range(5):
        for head in range(3):
            closest = np.argmax(item[row] @ user[row, head])
            expected_user[row, head] = item[row, closest]
            expected_item[row, closest] += user[row, head]
    np.testing.assert_allclose(of_user, expected_user, rtol=1e-5)
    np.testing.assert_allclose(of_item, expected_item, rtol=1e-5, atol=1e-6)
