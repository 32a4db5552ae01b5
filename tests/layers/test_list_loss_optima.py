"""Where the losses over lists have their optimum: at the true probabilities, or elsewhere."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import expit, softmax

import layers

TRUE = np.array([0.05, 0.1, 0.3, 0.6])
LABELS = np.array(list(itertools.product([0, 1], repeat=4)), np.float32)
"""Every list of labels that four rows can have, each with its probability."""
PROBABILITY = np.prod(np.where(LABELS == 1, TRUE, 1 - TRUE), axis=1, keepdims=True).astype(np.float32)


def best_logits(loss, size=4):
    """What minimises the mean of a loss of logits (16, ...) that are the same in every list."""

    def value_and_slope(logits):
        logits = tf.Variable(logits.astype(np.float32))
        with tf.GradientTape() as tape:
            found = loss(logits)
        return float(found), tf.convert_to_tensor(tape.gradient(found, logits)).numpy().astype(np.float64)

    return minimize(value_and_slope, np.zeros(size), jac=True, method="L-BFGS-B", options={"ftol": 1e-13}).x


def over_lists(layer, *shape):
    def loss(logits):
        logits = tf.tile(tf.reshape(logits, [1, 4, *shape]), [16, *[1] * (1 + len(shape))])
        return layer({"logits": logits, "labels": tf.constant(LABELS), "weights": tf.constant(PROBABILITY)})

    return loss


def regression(logits):
    """Cross-entropy with the true probabilities, summed over the rows."""
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(tf.constant(TRUE, tf.float32), logits))


def test_regression_compatible_ranking_is_calibrated():
    logits = best_logits(over_lists(layers.RegressionCompatibleLoss(ranking_weight=0.9)))
    np.testing.assert_allclose(expit(logits), TRUE, atol=1e-3)


def test_softmax_beside_cross_entropy_is_not():
    """The values are from gradient descent in NumPy, by the gradient that the next lines check to be 0."""
    softmax_loss = over_lists(layers.ListSoftmaxLoss())
    logits = best_logits(lambda logits: 0.1 * regression(logits) + 0.9 * softmax_loss(logits))
    gradient = 0.1 * (expit(logits) - TRUE) + 0.9 * (softmax(logits) - TRUE / TRUE.sum())
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    np.testing.assert_allclose(expit(logits), [0.073, 0.138, 0.332, 0.506], atol=1e-3)


def test_softmax_gives_the_shares_of_the_positives():
    np.testing.assert_allclose(softmax(best_logits(over_lists(layers.ListSoftmaxLoss()))), TRUE / TRUE.sum(), atol=1e-3)


def test_pairwise_beside_cross_entropy_is_calibrated_without_a_margin():
    def with_cross_entropy(layer):
        return lambda logits: regression(logits) + 10 * over_lists(layer)(logits)

    np.testing.assert_allclose(expit(best_logits(with_cross_entropy(layers.PairwiseLoss()))), TRUE, atol=1e-3)
    assert np.abs(expit(best_logits(with_cross_entropy(layers.PairwiseLoss(margin=1.0)))) - TRUE).max() > 0.05


@pytest.mark.parametrize("weight", [0.5, 0.95])
def test_joint_ranking_and_calibration_is_calibrated_if_it_keeps_the_same_label(weight):
    def probabilities(keep):
        layer = layers.JointRankingCalibrationLoss(weight, keep_same_label=keep)
        logits = best_logits(over_lists(layer, 2), size=8).reshape(4, 2)
        return expit(logits[:, 1] - logits[:, 0])

    np.testing.assert_allclose(probabilities(True), TRUE, atol=1e-3)
    assert np.abs(probabilities(False) - TRUE).max() > 0.05


@pytest.mark.parametrize("corrected", [False, True])
def test_the_correction_undoes_how_candidates_were_drawn(corrected):
    """A positive and 2,000 items drawn with probability q: softmax orders by p / q, and by p with the correction."""
    drawn = np.array([0.5, 0.2, 0.2, 0.1])
    items = np.random.default_rng(0).choice(4, (4, 2_000), p=drawn)
    items = tf.constant(np.concatenate([np.arange(4)[:, np.newaxis], items], axis=1))
    shares = TRUE / TRUE.sum()
    parts = {"labels": tf.one_hot([0] * 4, 2_001), "weights": tf.constant(shares[:, np.newaxis], tf.float32)}
    if corrected:
        parts["log_q"] = tf.gather(tf.constant(np.log(drawn), tf.float32), items)
    logits = best_logits(lambda logits: layers.ListSoftmaxLoss()({"logits": tf.gather(logits, items), **parts}))
    expected = np.log(shares if corrected else shares / drawn)
    np.testing.assert_allclose(logits - logits.mean(), expected - expected.mean(), atol=0.1)


@pytest.mark.parametrize("name", ["PointwiseDistillationLoss", "ListwiseDistillationLoss"])
def test_distillation_has_its_optimum_at_the_teacher(name):
    teacher = np.array([-1.0, 0.5, 2.0, -0.5], np.float32)
    layer = getattr(layers, name)(temperature=2.0)
    logits = best_logits(lambda logits: layer({"logits": logits[tf.newaxis], "teacher": teacher[np.newaxis]}))
    free = (logits - teacher).mean() if name == "ListwiseDistillationLoss" else 0.0
    np.testing.assert_allclose(logits - free, teacher, atol=5e-3)


@pytest.mark.parametrize("k", [1, 3])
def test_the_top_k_are_those_that_are_wanted(k):
    wanted = np.isin(np.arange(4), [1, 3, 0][:k]).astype(np.float32)
    logits = tf.Variable([0.1, -0.2, 0.3, 0.2])
    layer, descent = layers.TopKLoss(k, temperature=0.5), tf.keras.optimizers.SGD(0.5)
    for _ in range(50):
        with tf.GradientTape() as tape:
            loss = layer({"logits": logits[tf.newaxis], "labels": wanted[np.newaxis]})
        descent.apply_gradients([(tape.gradient(loss, logits), logits)])
    assert set(np.argsort(logits.numpy())[::-1][:k]) == set(np.flatnonzero(wanted))
