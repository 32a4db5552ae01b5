import numpy as np
import pytest
import tensorflow as tf

from layers import ListwiseLoss

LISTS = np.array([5, 2, 5, 2, 5, 9, -1, -2])


def expected(logits, labels):
    losses = [
        np.log(np.sum(np.exp(logits[LISTS[row] == LISTS]))) - logits[row]
        for row in range(8)
        if labels[row] and np.sum(LISTS[row] == LISTS) > 1
    ]
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("labels", [[1, 0, 0, 1, 1, 1, 1, 0], [0] * 8, [0, 0, 0, 0, 0, 1, 1, 1], [1] * 8])
def test_value(labels):
    logits = tf.Variable(np.random.default_rng(0).normal(size=8) * 3, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = ListwiseLoss()([logits, tf.constant(labels, tf.float32), tf.constant(LISTS)])
    assert float(loss) == pytest.approx(expected(logits.numpy(), np.array(labels)), rel=1e-5)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_a_list_far_below_another():
    logits = np.array([-200, 100, -201, 100, -202, 0, 0, 0], np.float32)
    labels = np.array([0, 0, 1, 0, 0, 0, 0, 0], np.float32)
    loss = ListwiseLoss()([logits, labels, tf.constant(LISTS)])
    assert float(loss) == pytest.approx(np.log(np.e + 1 + 1 / np.e), rel=1e-5)
