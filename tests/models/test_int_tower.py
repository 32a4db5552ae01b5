import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise

import models

SMALL = {"hidden_units": (12, 10, 8), "embedding_dim": 4, "head_dim": 3, "dropout": 0.0}


def build(**options):
    model = models.build("int_tower", SPEC, {**SMALL, **options})
    randomise(model, seed=1)
    return model


def layers_of_user(model, inputs, training):
    """Outputs of the user tower's layers, by the model's own parts."""
    fields = model.user_se(model.encoder(inputs, "user").stack(model.user_numbers))
    return model.user_dnn(tf.reshape(fields, [len(fields), -1]), training=training, return_layers=True)


@pytest.mark.parametrize("similarity", ["scaled_cosine", "dot"])
@pytest.mark.parametrize(("user_heads", "item_heads"), [(2, 2), (3, 1)])
def test_every_user_layer_meets_the_item_s_last(similarity, user_heads, item_heads):
    model = build(similarity=similarity, user_heads=user_heads, item_heads=item_heads)
    inputs, _ = random_batch(SPEC, 16)
    item = model.item_tower(inputs)["item_heads"].numpy()
    expected = np.zeros(16)
    for layer, representer in zip(layers_of_user(model, inputs, False), model.user_representers, strict=True):
        heads = representer(layer).numpy()
        assert heads.shape == (16, user_heads, 3)
        expected += np.einsum("bhd,bkd->bhk", heads, item).max(axis=2).sum(axis=1)
    expected = (float(model.scorer.scale) if similarity == "scaled_cosine" else 1) * expected + float(model.bias)
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=1e-4, atol=1e-5)
    assert model.user_tower(inputs)["user_heads"].shape == (16, 3 * user_heads, 3)


def test_the_last_layer_alone_in_inference():
    whole, last = build(), build(only_last_layer=True)
    for one, two in zip(whole.weights, last.weights, strict=True):
        two.assign(one)
    inputs, labels = random_batch(SPEC, 16)
    heads = last.user_tower(inputs)["user_heads"]
    assert heads.shape == (16, 2, 3)
    np.testing.assert_allclose(heads, whole.user_tower(inputs)["user_heads"][:, -2:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        last(inputs, training=False), last.score(last.user_tower(inputs), last.item_tower(inputs)), atol=1e-5
    )
    assert not np.allclose(last(inputs, training=False), whole(inputs, training=False))
    for one, two in zip(
        whole.loss_terms(inputs, labels).values(), last.loss_terms(inputs, labels).values(), strict=True
    ):
        assert float(one) == pytest.approx(float(two), rel=1e-5)


@pytest.mark.parametrize("weight", [0.1, 0.7])
def test_the_contrastive_term(weight):
    model = build(cir_weight=weight, cir_temperature=0.5)
    inputs, labels = random_batch(SPEC, 64)
    terms = model.loss_terms(inputs, labels)
    assert list(terms) == ["cross_entropy", "contrastive"]
    user, item = model.encode_user(inputs, training=True), model.encode_item(inputs, training=True)
    u, v = (side["vector"].numpy() / np.linalg.norm(side["vector"], axis=1, keepdims=True) for side in (user, item))
    users, items, y = inputs["user_id"].numpy(), inputs["movie_id"].numpy(), labels.numpy()
    liked = {(a, b) for a, b, label in zip(users, items, y, strict=True) if label}
    similar = np.exp(u @ v.T / 0.5)
    losses = []
    for row in np.flatnonzero(y):
        negatives = sum(similar[row, j] for j in range(64) if (users[row], items[j]) not in liked)
        losses.append(-np.log(similar[row, row] / (similar[row, row] + negatives)))
    assert float(terms["contrastive"]) == pytest.approx(weight * np.mean(losses), rel=1e-4)


def test_without_the_contrastive_term():
    inputs, labels = random_batch(SPEC, 8)
    assert list(build(cir_weight=0).loss_terms(inputs, labels)) == ["cross_entropy"]
    none = build().loss_terms(inputs, tf.zeros([8]))
    assert float(none["contrastive"]) == 0


def test_published_heads_are_the_default():
    options = models.get("int_tower").options()
    assert (options.hidden_units, options.user_heads, options.item_heads) == ((300, 300, 128), 2, 2)
    assert (options.head_dim, options.cir_weight, options.cir_temperature) == (64, 0.1, 0.07)
