from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from layers import GenerationLoss
from layers.generation_loss import GenerationLossKind

KINDS = get_args(GenerationLossKind)


def distance(kind, g, t):
    """The distance of one mimic vector and one target; the norms of a cosine are floored."""
    return {
        "cosine": 1 - g @ t / (max(np.sqrt(g @ g), 1e-3) * max(np.sqrt(t @ t), 1e-3)),
        "mse": np.mean((g - t) ** 2),
        "mae": np.mean(np.abs(g - t)),
        "euclidean": max(np.sqrt(np.sum((g - t) ** 2)), 1e-3),
        "manhattan": np.sum(np.abs(g - t)),
    }[kind]


def expected(kind, mimic, target, selected):
    if kind == "reference_cosine":  # the public code's: over the whole batch, of the opposite sign
        cosines = [1 - distance("cosine", g, t) for g, t in zip(mimic, target, strict=True)]
        return np.mean(selected * cosines)
    distances = [distance(kind, g, t) for g, t, s in zip(mimic, target, selected, strict=True) if s]
    return np.mean(distances) if distances else 0.0


def batch(rows=8, dim=6):
    random = np.random.default_rng(1)
    selected = np.array([1, 0, 0, 1, 1, 0, 1, 0])[:rows]
    return random.normal(size=(rows, dim)), random.normal(size=(rows, dim)) * 3, selected


def loss_and_gradients(kind, mimic, target, selected):
    mimic, target = tf.Variable(mimic, dtype=tf.float32), tf.Variable(target, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = GenerationLoss(kind)([mimic, target, tf.constant(selected, tf.float32)])
    return float(loss), *tape.gradient(loss, [mimic, target])


@pytest.mark.parametrize("kind", KINDS)
def test_value(kind):
    mimic, target, selected = batch()
    loss, _, _ = loss_and_gradients(kind, mimic, target, selected)
    assert loss == pytest.approx(expected(kind, mimic, target, selected), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_mimic(kind):
    mimic, target, selected = batch()
    _, gradient, _ = loss_and_gradients(kind, mimic, target, selected)
    numeric = np.zeros_like(mimic)
    for place in np.ndindex(mimic.shape):
        step = np.zeros_like(mimic)
        step[place] = 1e-5
        above, below = (expected(kind, mimic + sign * step, target, selected) for sign in (1, -1))
        numeric[place] = (above - below) / 2e-5
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-6)
    assert np.all(gradient[1] == 0)  # not selected


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_gets_no_gradient(kind):
    assert loss_and_gradients(kind, *batch())[2] is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_selected_row_gives_exactly_0(kind):
    mimic, target, selected = batch()
    loss, gradient, _ = loss_and_gradients(kind, mimic, target, np.zeros_like(selected))
    assert loss == 0
    assert np.all(gradient.numpy() == 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zero", ["mimic", "target", "both", "equal"])
def test_zero_vectors_have_a_bounded_gradient(kind, zero):
    mimic, target, selected = batch()
    if zero == "equal":
        mimic = target
    if zero in ("mimic", "both"):
        mimic = np.zeros_like(mimic)
    if zero in ("target", "both"):
        target = np.zeros_like(target)
    loss, gradient, _ = loss_and_gradients(kind, mimic, target, selected)
    assert np.isfinite(loss)
    assert loss == pytest.approx(expected(kind, mimic, target, selected), rel=1e-5, abs=1e-6)
    # the derivative of a cosine with a norm floored at 1e-3 is at most 1000, and here it is a mean over four rows
    assert np.all(np.isfinite(gradient))
    assert np.max(np.abs(gradient)) <= 1e3 / 4


def test_a_zero_mimic_is_pulled_towards_its_target():
    _, target, selected = batch()
    _, gradient, _ = loss_and_gradients("cosine", np.zeros_like(target), target, selected)
    unit = target / np.linalg.norm(target, axis=1, keepdims=True)
    np.testing.assert_allclose(gradient, -unit * selected[:, np.newaxis] * 1e3 / 4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_may_be_a_column(kind):
    mimic, target, selected = batch()
    assert loss_and_gradients(kind, mimic, target, selected[:, np.newaxis])[0] == pytest.approx(
        expected(kind, mimic, target, selected), rel=1e-5
    )


def test_unknown_kind():
    with pytest.raises(ValueError, match="Received: kind='cosin'"):
        GenerationLoss("cosin")
