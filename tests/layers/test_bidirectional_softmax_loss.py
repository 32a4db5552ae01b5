import numpy as np
import pytest
import tensorflow as tf

from layers import BidirectionalSoftmaxLoss


def expected(u, v, log_u, log_v, w, temperature, alpha, beta):
    s, total = u @ v.T / temperature, 0.0
    for i in np.flatnonzero(w):
        items = w * np.exp(s[i] - log_v)
        users = w * np.exp(s[:, i] - log_u)
        total -= w[i] * (alpha * np.log(items[i] / items.sum()) + beta * np.log(users[i] / users.sum()))
    return total / w.sum()


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.3, 0.0), (0.0, 2.0)])
def test_loss(alpha, beta):
    random = np.random.default_rng(0)
    u, v = random.normal(size=(2, 6, 3))
    log_u, log_v = random.normal(size=(2, 6))
    w = np.array([1.0, 0, 2, 1, 0.5, 1])
    loss = BidirectionalSoftmaxLoss(0.7, alpha, beta)
    found = loss([tf.constant(part, tf.float32) for part in (u, v, log_u, log_v, w)])
    assert float(found) == pytest.approx(expected(u, v, log_u, log_v, w, 0.7, alpha, beta), rel=1e-4)


def test_without_a_row_that_counts():
    loss = BidirectionalSoftmaxLoss()
    assert float(loss([tf.ones([3, 2]), tf.ones([3, 2]), tf.zeros([3]), tf.zeros([3]), tf.zeros([3])])) == 0


USERS, ITEMS = 4, 5


@pytest.fixture(scope="module")
def world():
    """Probabilities of all pairs, and a batch in which each pair has its probability as its weight."""
    p = np.random.default_rng(0).random((USERS, ITEMS)) + 0.05
    p /= p.sum()
    return p, np.repeat(np.arange(USERS), ITEMS), np.tile(np.arange(ITEMS), USERS)


def gradient(table, world, corrected=True, **weights):
    """The gradient by a full table of scores, whose row of a user is met by an item's unit vector."""
    p, users, items = world
    shares = [np.log(p.sum(axis=1))[users], np.log(p.sum(axis=0))[items]] if corrected else np.zeros((2, len(users)))
    variable = tf.Variable(table, dtype=tf.float32)
    with tf.GradientTape() as tape:
        u, v = tf.gather(variable, users), tf.one_hot(items, ITEMS)
        loss = BidirectionalSoftmaxLoss(1.0, **weights)([u, v, *map(tf.constant, shares), tf.constant(p.ravel())])
    return tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()


def test_the_optimum_is_the_log_probability_of_the_pair(world):
    p, *_ = world
    np.testing.assert_allclose(gradient(np.log(p) + 3.0, world), 0, atol=1e-6)
    of_user = np.random.default_rng(1).normal(size=(USERS, 1))
    assert np.abs(gradient(np.log(p) + of_user, world)).max() > 1e-2, "a constant of each user is not free"
    pmi = np.log(p / p.sum(axis=1, keepdims=True) / p.sum(axis=0))
    assert np.abs(gradient(pmi, world)).max() > 1e-2


def test_of_one_direction_a_constant_of_each_user_is_free(world):
    p, *_ = world
    of_user = np.random.default_rng(1).normal(size=(USERS, 1))
    np.testing.assert_allclose(gradient(np.log(p) + of_user, world, user_weight=0.0), 0, atol=1e-6)


def test_without_the_corrections_the_optimum_is_the_pointwise_mutual_information(world):
    p, *_ = world
    pmi = np.log(p / p.sum(axis=1, keepdims=True) / p.sum(axis=0))
    np.testing.assert_allclose(gradient(pmi, world, corrected=False), 0, atol=1e-6)
    assert np.abs(gradient(np.log(p), world, corrected=False)).max() > 1e-2
