"""InfoNCE over a batch's own items against NumPy, and where its optimum lies."""

import numpy as np
import pytest
import tensorflow as tf

from layers import InBatchSoftmaxLoss

WEIGHTS = np.array([1.0, 0.5, 0.0, 2.0, 1.0])


def parts(weights=WEIGHTS):
    random = np.random.default_rng(0)
    user, item = (random.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    return [user, item, random.normal(size=5).astype(np.float32), weights.astype(np.float32)]


def call(weights=WEIGHTS, **options):
    inputs = [tf.Variable(part) for part in parts(weights)]
    with tf.GradientTape() as tape:
        loss = InBatchSoftmaxLoss(**options)(inputs)
    return float(loss), [gradient.numpy() for gradient in tape.gradient(loss, inputs[:3])]


@pytest.mark.parametrize("normalizer", [0.0, 0.3])
def test_value(normalizer):
    user, item, bias, _ = (part.astype(float) for part in parts())
    losses = []
    for row, weight in enumerate(WEIGHTS):
        if weight:
            terms = [w * np.exp(user[row] @ item[j] + bias[j]) for j, w in enumerate(WEIGHTS)]
            mean = sum(terms) / WEIGHTS.sum()
            losses.append(weight * (-np.log(terms[row] / sum(terms)) + normalizer * np.log(mean) ** 2))
    assert call(normalizer_weight=normalizer)[0] == pytest.approx(sum(losses) / WEIGHTS.sum(), rel=1e-5)


def test_a_row_of_weight_0_is_neither_positive_nor_item():
    _, (of_user, of_item, of_bias) = call()
    for gradient in (of_user, of_item, of_bias):
        assert np.all(gradient[2] == 0)
        assert np.all(gradient[3] != 0)


@pytest.mark.parametrize("weights", [np.zeros(5), np.eye(5)[1]])
def test_without_two_rows_it_is_0_but_for_the_normalizer(weights):
    loss, gradients = call(weights, normalizer_weight=0.0)
    assert loss == pytest.approx(0, abs=1e-6)
    assert all(np.abs(gradient).max() < 1e-6 for gradient in gradients)


def test_the_optimum_is_the_ratio_of_the_conditional_to_the_marginal_probability():
    """The mean gradient over all batches of two rows vanishes there, although both rows may have one item."""
    joint = np.random.default_rng(1).gamma(0.7, size=(3, 4))
    joint /= joint.sum()
    of_item = joint.sum(axis=0)
    ratio = np.log(joint / joint.sum(axis=1, keepdims=True) / of_item)
    first, second = (places.ravel() for places in np.meshgrid(np.arange(12), np.arange(12)))
    for table, most in ((ratio, 1e-6), (ratio + [[0.5], [0.0], [-1.0]], 1e-6), (ratio + [0.0, 0.5, 0.0, 0.0], np.inf)):
        scores = tf.Variable(table, dtype=tf.float32)
        with tf.GradientTape() as tape:
            loss = tf.zeros([])
            for rows in zip(first, second, strict=True):
                users, items = np.divmod(rows, 4)
                # a user's vector holds its scores of all items, an item's is the unit vector of its place
                inputs = [tf.gather(scores, users), tf.one_hot(items, 4), tf.zeros([2]), tf.ones([2])]
                loss += np.prod(joint.ravel()[list(rows)]) * InBatchSoftmaxLoss(normalizer_weight=0.0)(inputs)
        largest = np.abs(tf.convert_to_tensor(tape.gradient(loss, scores))).max()
        assert largest < most
        if most == np.inf:
            assert largest > 1e-3, "a popularity that is not that of the rows is not the optimum"


def test_the_normalizer_chooses_a_constant_of_each_user():
    """Scores whose mean of `exp` over the batch's items is 1 have no loss by it, and no gradient."""
    inputs = [np.zeros((5, 3)), np.zeros((5, 3)), np.log([0.5, 1.5, 1.0, 0.5, 1.5]), np.ones(5)]
    for above, expected in ((0.0, 0.0), (0.7, 0.49), (-2.0, 4.0)):
        bias = tf.constant(inputs[2] + above, tf.float32)
        parts = [*(tf.constant(part, tf.float32) for part in inputs[:2]), bias, tf.ones([5])]
        with_it, without = (float(InBatchSoftmaxLoss(weight)(parts)) for weight in (1.0, 0.0))
        assert with_it - without == pytest.approx(expected, abs=1e-5)
