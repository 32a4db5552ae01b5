import numpy as np
import pytest
import tensorflow as tf

from layers import ScaledSimilarity


def vectors(users=6, items=6):
    random = np.random.default_rng(0)
    return random.normal(size=(users, 5)).astype(np.float32), random.normal(size=(items, 5)).astype(np.float32)


def cosine(user, item):
    return np.sum(user * item, 1) / np.linalg.norm(user, axis=1) / np.linalg.norm(item, axis=1)


@pytest.mark.parametrize("users", [1, 6])
@pytest.mark.parametrize("similarity", ["scaled_cosine", "cosine", "dot"])
def test_value(similarity, users):
    user, item = vectors(users)
    layer = ScaledSimilarity(similarity)
    layer.build([(None, 5), (None, 5)])
    scale = 1.0
    if similarity == "scaled_cosine":
        assert len(layer.trainable_weights) == 1
        layer.scale.assign(3.25)
        scale = 3.25
    else:
        assert not layer.weights
    expected = np.sum(user * item, 1) if similarity == "dot" else scale * cosine(user, item)
    np.testing.assert_allclose(layer([user, item]), expected, rtol=1e-5)


def test_the_scale_is_learned():
    user, item = vectors()
    layer = ScaledSimilarity()
    with tf.GradientTape() as tape:
        score = layer([user, item])
    gradient = tape.gradient(score, layer.trainable_weights)
    np.testing.assert_allclose(gradient[0], cosine(user, item).sum(), rtol=1e-4)
    assert float(layer.scale) > 1  # a logit confined to (-1, 1) would be the published defect


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_zero_and_tiny_vectors_give_finite_scores(policy):
    layer = ScaledSimilarity(dtype=tf.keras.mixed_precision.Policy(policy))
    user = tf.Variable([[0.0, 0.0], [1e-4, 0.0], [3e-3, 4e-3]])
    with tf.GradientTape() as tape:
        score = layer([user, tf.ones([3, 2])])
    # the norms are floored at 1e-3, as in the generation loss, so the gradient at a zero vector is bounded
    np.testing.assert_allclose(score / 5, [0, 0.1 * np.sqrt(0.5), 0.7 * np.sqrt(2)], rtol=1e-2)
    gradient = tape.gradient(score, user).numpy()
    np.testing.assert_allclose(gradient[:2] / 5, np.full([2, 2], np.sqrt(0.5) * 1e3), rtol=1e-2)
    assert np.isfinite(gradient).all()


def test_unknown_similarity():
    with pytest.raises(ValueError, match="Received: similarity='cos'"):
        ScaledSimilarity("cos")
