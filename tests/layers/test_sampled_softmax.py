import numpy as np
import pytest
import tensorflow as tf

from layers import SampledSoftmaxLoss

IDS, SAMPLED = np.array([5, 6, 5, 7]), np.array([6, 9, 6, 8, 5])
LABELS = np.array([1, 0, 1, 1])


def vectors():
    random = np.random.default_rng(0)
    return [random.normal(size=(rows, 3)).astype(np.float32) for rows in (4, 4, 5)]


def call(labels=LABELS, sampled_ids=SAMPLED, temperature=0.5):
    parts = [tf.Variable(part) for part in vectors()]
    with tf.GradientTape() as tape:
        ids = [tf.constant(IDS), tf.constant(sampled_ids)]
        loss = SampledSoftmaxLoss(temperature)([*parts, *ids, tf.constant(labels, tf.float32)])
    return float(loss), [gradient.numpy() for gradient in tape.gradient(loss, parts)]


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_value(temperature):
    user, item, sampled = vectors()
    losses = []
    for row in np.flatnonzero(LABELS):
        own = np.exp(user[row] @ item[row] / temperature)
        others = [
            np.exp(user[row] @ v / temperature) for v, id_ in zip(sampled, SAMPLED, strict=True) if id_ != IDS[row]
        ]
        losses.append(-np.log(own / (own + sum(others))))
    assert call(temperature=temperature)[0] == pytest.approx(np.mean(losses), rel=1e-5)


def test_negatives_of_label_0_train_nothing():
    _, (of_user, of_item, _) = call()
    assert np.all(of_user[1] == 0)
    assert np.all(of_item[1] == 0)


def test_without_a_positive_it_is_exactly_0():
    loss, gradients = call(labels=np.zeros(4))
    assert loss == 0
    assert all(np.all(gradient == 0) for gradient in gradients)


def test_only_the_own_item_drawn():
    loss, gradients = call(labels=np.array([1, 0, 1, 0]), sampled_ids=np.full(5, 5))
    assert loss == pytest.approx(0, abs=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
