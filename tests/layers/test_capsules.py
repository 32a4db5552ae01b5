import numpy as np
import pytest
import tensorflow as tf

from layers import InterestCapsules


def softmax(values):
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def squash(z):
    length = np.linalg.norm(z)
    return length**2 / (1 + length**2) * z / length if length else z


def routed(behaviours, bilinear, directions, iterations):
    """Interests of one user from their behaviours (L, E), by section 4.3 of the paper."""
    mapped = behaviours @ bilinear
    logits = np.array([[e @ d / np.linalg.norm(e) for d in directions.T] for e in mapped])
    for _ in range(iterations):
        weights = softmax(logits)
        interests = [
            squash(sum(w[k] * e for w, e in zip(weights, mapped, strict=True))) for k in range(logits.shape[1])
        ]
        logits = logits + np.array([[u @ e for u in interests] for e in mapped])
    return interests


def batch():
    random = np.random.default_rng(0)
    behaviours = random.normal(size=(4, 5, 3)).astype(np.float32)
    filled = np.arange(5) < np.array([[5], [2], [1], [0]])
    return behaviours, filled


@pytest.mark.parametrize(("capsules", "iterations"), [(1, 1), (2, 1), (2, 3), (4, 5)])
def test_value(capsules, iterations):
    behaviours, filled = batch()
    layer = InterestCapsules(capsules, iterations, seed=1)
    found = layer([tf.constant(behaviours), tf.constant(filled)]).numpy()
    weights = np.array(layer.bilinear), np.array(layer.directions)
    for row in range(3):
        expected = routed(behaviours[row][filled[row]], *weights, iterations)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)
    assert np.all(found[3] == 0)


def test_the_same_at_every_call_wherever_a_behaviour_stands():
    behaviours, filled = batch()
    layer = InterestCapsules(2)
    first = layer([tf.constant(behaviours), tf.constant(filled)])
    np.testing.assert_array_equal(first, layer([tf.constant(behaviours), tf.constant(filled)]))
    turned = layer([tf.constant(behaviours[:, ::-1]), tf.constant(filled[:, ::-1])])
    np.testing.assert_allclose(turned, first, rtol=1e-4, atol=1e-6)
    longer = np.pad(behaviours, [(0, 0), (0, 3), (0, 0)], constant_values=7), np.pad(filled, [(0, 0), (0, 3)])
    np.testing.assert_allclose(layer([tf.constant(part) for part in longer]), first, rtol=1e-4, atol=1e-6)


def test_gradients_are_bounded_at_zero():
    behaviours = tf.Variable(tf.zeros([2, 5, 3]))
    layer = InterestCapsules(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer([behaviours, tf.ones([2, 5], tf.bool)]))
    assert np.isfinite(tape.gradient(loss, behaviours)).all()
    assert len(layer.trainable_weights) == 1


def test_routing_starts_in_directions_that_differ():
    layer = InterestCapsules(40, seed=1)
    layer.build([(None, 5, 30), (None, 5)])
    directions = np.array(layer.directions)
    assert directions.shape == (30, 40)
    assert np.std(directions) == pytest.approx(1.0, abs=0.1)
    assert np.mean(directions) == pytest.approx(0.0, abs=0.1)
    assert np.abs(np.corrcoef(directions.T) - np.eye(40)).max() < 0.8
