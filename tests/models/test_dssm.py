import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise

import models


@pytest.mark.parametrize("similarity", ["scaled_cosine", "cosine", "dot"])
def test_probability(similarity):
    model = models.build("dssm", SPEC, {"hidden_units": (9, 6), "embedding_dim": 4, "similarity": similarity})
    randomise(model)
    inputs, _ = random_batch(SPEC, 32)
    u, v = model.user_tower(inputs)["user_vector"].numpy(), model.item_tower(inputs)["item_vector"].numpy()
    assert u.shape == v.shape == (32, 6)
    assert (u < 0).any()  # the last layer of a tower is linear
    assert (v < 0).any()
    score = np.sum(u * v, axis=1)
    if similarity != "dot":
        score = score / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    if similarity == "scaled_cosine":
        score = float(model.scorer.scale) * score
    expected = 1 / (1 + np.exp(-(score + float(model.bias))))
    np.testing.assert_allclose(tf.sigmoid(model(inputs, training=False)), expected, atol=1e-5)


def test_cross_entropy():
    model = models.build("dssm", SPEC, {"hidden_units": (9, 6), "embedding_dim": 4, "dropout": 0.0})
    randomise(model)
    inputs, labels = random_batch(SPEC, 32)
    logits = model.score(model.encode_user(inputs, training=True), model.encode_item(inputs, training=True)).numpy()
    p, y = 1 / (1 + np.exp(-logits.astype(np.float64))), labels.numpy()
    terms = model.loss_terms(inputs, labels)
    assert list(terms) == ["cross_entropy"]
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert float(terms["cross_entropy"]) == pytest.approx(expected, rel=1e-5)


def test_a_single_layer():
    model = models.build("dssm", SPEC, {"hidden_units": (6,), "embedding_dim": 4})
    assert model(random_batch(SPEC, 3)[0]).shape == (3,)
    assert len(model.trainable_weights) == 1 + 2 * 2 + 2
