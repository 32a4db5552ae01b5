import numpy as np
import pytest
import tensorflow as tf

from layers import AdaptiveMimicLoss


def batch():
    random = np.random.default_rng(0)
    labels = np.array([1, 0, 1, 1, 0, 0], np.float32)
    return random.normal(size=(6, 4)).astype(np.float32), random.normal(size=(6, 4)).astype(np.float32), labels


def test_value_and_gradients():
    augmented, target, labels = batch()
    one, other = tf.Variable(augmented), tf.Variable(target)
    with tf.GradientTape() as tape:
        loss = AdaptiveMimicLoss()([one, other, labels])
    expected = sum(np.sum((a - t) ** 2) for a, t, y in zip(augmented, target, labels, strict=True) if y) / 24
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    of_augmented, of_target = tape.gradient(loss, [one, other])
    assert of_target is None
    np.testing.assert_allclose(of_augmented, 2 * (augmented - target) * labels[:, np.newaxis] / 24, atol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_negatives_alone_give_exactly_0(shape):
    augmented, target, _ = batch()
    assert float(AdaptiveMimicLoss()([augmented, target, np.zeros(shape, np.float32)])) == 0
