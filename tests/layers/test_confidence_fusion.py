import numpy as np
import pytest
import tensorflow as tf

from layers import ConfidenceFusion, SymmetricDivergenceLoss

LOGITS = np.array([[0.5, -2.0], [3.0, 0.0], [-1.0, -1.0], [-4.0, 5.0]])


@pytest.mark.parametrize("temperature", [1.0, 0.1, 50.0])
def test_fusion(temperature):
    p = 1 / (1 + np.exp(-LOGITS))
    certainty = p * np.log(p) + (1 - p) * np.log(1 - p)
    weights = np.exp(certainty / temperature)
    fused = (weights * p).sum(axis=1) / weights.sum(axis=1)
    found = ConfidenceFusion(temperature)(tf.constant(LOGITS, tf.float32))
    np.testing.assert_allclose(found, np.log(fused / (1 - fused)), rtol=1e-4, atol=1e-5)


def test_the_more_certain_network_counts_more():
    found = ConfidenceFusion(0.01)(tf.constant([[0.1, 3.0], [-3.0, 0.1]]))
    np.testing.assert_allclose(found, [3.0, -3.0], atol=1e-3)


def test_logits_of_any_size_give_a_finite_one_and_a_gradient():
    logits = tf.Variable([[80.0, -80.0], [100.0, 90.0]])
    with tf.GradientTape() as tape:
        found = ConfidenceFusion()(tf.convert_to_tensor(logits))
    assert np.isfinite(found).all()
    assert np.isfinite(tape.gradient(found, logits)).all()


def test_divergence():
    (a, b), weights = LOGITS.T, np.array([1.0, 0.5, 2.0, 0.0])
    p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))

    def divergence(p, q):
        return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    expected = (weights * (divergence(p, q) + divergence(q, p)) / 2).sum() / weights.sum()
    loss = SymmetricDivergenceLoss()
    assert float(loss([tf.constant(x, tf.float32) for x in (a, b, weights)])) == pytest.approx(expected, rel=1e-5)
    assert float(loss([tf.constant(x, tf.float32) for x in (a, a, weights)])) == 0
    assert float(loss([tf.constant(a, tf.float32), tf.constant(b, tf.float32), tf.zeros([4])])) == 0
