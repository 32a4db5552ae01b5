import numpy as np
import pytest
import tensorflow as tf

from layers import ContrastiveLoss

# Users 1 and 2 like several items, user 1 likes item 5 twice, and items 5 and 6 are in several rows.
LABELS = np.array([1, 1, 0, 1, 0, 1, 0, 1])
USERS = np.array([1, 1, 1, 2, 2, 2, 3, 1])
ITEMS = np.array([5, 6, 7, 5, 8, 9, 6, 5])


def vectors(rows=8, dim=4):
    random = np.random.default_rng(0)
    return random.normal(size=(rows, dim)), random.normal(size=(rows, dim)) * 3


def expected(user, item, labels, users, items, temperature):
    """Row by row, by the definition."""
    liked = {(u, v) for u, v, y in zip(users, items, labels, strict=True) if y == 1}
    losses = []
    for row in np.flatnonzero(labels == 1):
        similar = [user[row] @ v / np.linalg.norm(user[row]) / np.linalg.norm(v) / temperature for v in item]
        negatives = [j for j in range(len(items)) if (users[row], items[j]) not in liked]
        total = np.exp(similar[row]) + sum(np.exp(similar[j]) for j in negatives)
        losses.append(-np.log(np.exp(similar[row]) / total))
    return np.mean(losses) if losses else 0.0


def loss_and_gradients(user, item, labels=LABELS, users=USERS, items=ITEMS, temperature=0.5, xla=False):
    user, item = tf.Variable(user, dtype=tf.float32), tf.Variable(item, dtype=tf.float32)
    ids = [tf.constant(values, tf.int32) for values in (users, items)]
    with tf.GradientTape() as tape:
        loss = ContrastiveLoss(temperature, xla)([user, item, tf.constant(labels, tf.float32), *ids])
    return float(loss), *tape.gradient(loss, [user, item])


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("temperature", [0.005, 0.07, 0.5, 2.0])
def test_value(temperature, xla):
    user, item = vectors()
    loss, *_ = loss_and_gradients(user, item, temperature=temperature, xla=xla)
    assert loss == pytest.approx(expected(user, item, LABELS, USERS, ITEMS, temperature), rel=1e-4)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_batches_of_many_repetitions(seed, xla):
    random = np.random.default_rng(seed)
    user, item = vectors(40)
    batch = [random.integers(0, 2, 40), random.integers(0, 6, 40), random.integers(0, 6, 40)]
    loss, *_ = loss_and_gradients(user, item, *batch, xla=xla)
    assert loss == pytest.approx(expected(user, item, *batch, 0.5), rel=1e-4)


@pytest.mark.parametrize("xla", [False, True])
def test_without_an_anchor_it_is_exactly_0(xla):
    loss, *gradients = loss_and_gradients(*vectors(), labels=np.zeros(8), xla=xla)
    assert loss == 0
    assert all(np.all(gradient.numpy() == 0) for gradient in gradients)


def test_the_user_s_other_positives_are_no_negatives():
    """Row 3's user likes items 5 and 9: rows 0, 5 and 7 hold them and must not matter to row 3."""
    user, item = vectors()
    labels = np.where(np.arange(8) == 3, 1, 0)
    labels[5] = 1
    only = np.array([0, 0, 0, 1, 0, 0, 0, 0])
    of_both = loss_and_gradients(user, item, labels=labels)[2].numpy()
    alone = loss_and_gradients(user, item, labels=only)[2].numpy()
    assert np.all(alone[[0, 7]] == 0)  # the same item as row 3's
    assert np.any(alone[5] != 0)  # no positive of this batch
    assert np.all(of_both[[0, 7]] == 0)


def test_one_user_who_likes_all_has_no_negatives():
    user, item = vectors()
    loss, *gradients = loss_and_gradients(user, item, np.ones(8), np.ones(8), np.arange(8))
    assert loss == pytest.approx(0, abs=1e-6)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


def test_zero_vectors_have_a_bounded_gradient():
    for gradient in loss_and_gradients(np.zeros((8, 4)), np.zeros((8, 4)))[1:]:
        assert np.all(np.isfinite(gradient))
