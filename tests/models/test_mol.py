"""MoL, and its scorer in HIT and FIT."""

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from support import SPEC, random_batch, randomise, take

import models

SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "head_dim": 3, "mixture_hidden": 5}
HEADS = {"user_heads": 3, "item_heads": 2}
EXACT = {"dropout": 0.0, "mixture_dropout": 0.0}
WITH_MIXTURE = [
    ("mol", {}),
    ("mol", {"user_id_head": True, "user_id_dropout": 0.0}),
    ("hit", {"scorer": "mol", "generation_loss": "none"}),
    ("fit", {"scorer": "mol"}),
    ("fit", {"scorer": "mol", "without_mqm": True}),
]
every_mixture = pytest.mark.parametrize(("name", "options"), WITH_MIXTURE, ids=str)


def build(name="mol", seed=0, **options):
    model = models.build(name, SPEC, {**SMALL, **HEADS, **options}, seed=seed)
    randomise(model, seed=1)
    return model


def entropy(weights):
    return -(weights * np.log(weights)).sum(axis=-1)


@every_mixture
def test_the_towers_give_what_the_forward_pass_gives(name, options):
    model = build(name, **options)
    inputs, _ = random_batch(SPEC, 32)
    user, item = model.user_tower(inputs), model.item_tower(inputs)
    assert item["item_heads"].shape == (32, 2, 3)
    assert item["item_gate"].shape == (32, 6)
    np.testing.assert_allclose(np.linalg.norm(item["item_heads"], axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(user["user_heads"], axis=-1), 1, atol=1e-5)
    logits = model(inputs, training=False)
    np.testing.assert_allclose(model.score(user, item), logits, atol=1e-5)
    one = model.user_tower(take(inputs, [3]))
    repeated = model.user_tower(take(inputs, [3] * 32))
    np.testing.assert_allclose(model.score(one, item), model.score(repeated, item), atol=1e-5)


@every_mixture
def test_pairs_score_as_rows_of_the_same_user_and_item(name, options):
    model = build(name, **options, **EXACT)
    inputs, _ = random_batch(SPEC, 16)
    users, items = tf.constant([0, 3, 3, 15]), tf.constant([1, 3, 0, 7])
    found = model.scored(inputs, users, items, training=False).logits
    rows = {f.name: tf.gather(inputs[f.name], users if f.side == "user" else items) for f in SPEC.fields}
    if name == "mol" or options.get("without_mqm"):  # FIT's soft queries are those of training
        np.testing.assert_allclose(found, model(rows, training=False), atol=1e-5)
    assert found.shape == (4,)


@every_mixture
def test_the_loss_balances_the_pairs_of_heads(name, options):
    model = build(name, **options, **EXACT, mixture_balance=0.3)
    inputs, labels = random_batch(SPEC, 32)
    weights = model.scored(inputs).item["item_mixture"].numpy().astype(np.float64)
    assert weights.shape == (32, 6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    expected = entropy(weights).mean() - entropy(weights.mean(axis=0))
    assert float(model.loss_terms(inputs, labels)["mixture_balance"]) == pytest.approx(0.3 * expected, rel=1e-3)
    without = build(name, **options, **EXACT, mixture_balance=0.0)
    assert "mixture_balance" not in without.loss_terms(inputs, labels)


@every_mixture
def test_weights_are_dropped_in_training_only(name, options):
    model = build(name, **options, dropout=0.0, mixture_dropout=0.5)
    inputs, _ = random_batch(SPEC, 64)
    assert (model.scored(inputs).item["item_mixture"].numpy() == 0).mean() > 0.3
    np.testing.assert_array_equal(model(inputs, training=False), model(inputs, training=False))


def test_cross_entropy_from_the_states():
    model = build(**EXACT, mixture_temperature=0.5)
    inputs, labels = random_batch(SPEC, 32)
    user, item = (
        {name: part.numpy().astype(np.float64) for name, part in state.items()}
        for state in (model.encode_user(inputs, training=True), model.encode_item(inputs, training=True))
    )
    logits = np.einsum("bhd,bkd->bhk", user["user_heads"], item["item_heads"]).reshape(32, 6) / 0.5
    w1, b1, w2, b2 = (model.mixture_layers[2].arrays()[name] for name in _NETWORK)
    hidden = logits @ w1 + b1
    gate = user["user_gate"] * item["item_gate"] + (hidden / (1 + np.exp(-hidden))) @ w2 + b2
    weights = np.exp(gate / (1 + np.exp(-gate)))
    score = (weights * logits).sum(axis=1) / weights.sum(axis=1) + float(model.bias)
    y = labels.numpy()
    expected = np.mean(np.log1p(np.exp(score)) - y * score)
    assert float(model.loss_terms(inputs, labels)["cross_entropy"]) == pytest.approx(expected, rel=1e-4)


_NETWORK = ("hidden_kernel", "hidden_bias", "output_kernel", "output_bias")


def test_a_head_of_the_user_id():
    model = build(user_id_head=True, **EXACT, user_id_dropout=0.0, user_id_penalty=0.7)
    inputs, labels = random_batch(SPEC, 32)
    table = model.user_id_encoder.embedding.table.numpy()
    vectors = table[inputs["user_id"].numpy()]
    found = model.user_tower(inputs)["user_heads"].numpy()[:, -1]
    np.testing.assert_allclose(found, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-5)
    expected = 0.7 * np.square(vectors).sum(axis=1).mean()
    assert float(model.loss_terms(inputs, labels)["user_id"]) == pytest.approx(expected, rel=1e-4)
    assert "user_id" not in build(user_id_head=True, user_id_penalty=0.0).loss_terms(inputs, labels)
    assert "user_id" not in build().loss_terms(inputs, labels)


def test_numbers_of_the_user_ids_head_are_dropped_in_training():
    model = build(user_id_head=True, **EXACT, user_id_dropout=0.5)
    inputs, _ = random_batch(SPEC, 64)
    assert 0.3 < (model.encode_user(inputs, training=True)["user_heads"].numpy()[:, -1] == 0).mean() < 0.7
    assert (model.user_tower(inputs)["user_heads"].numpy()[:, -1] != 0).all()


def test_a_head_of_the_user_id_and_no_other():
    with pytest.raises(ValidationError, match="--user_id_head needs --user_heads of at least 2"):
        models.get("mol").options(user_id_head=True, user_heads=1)
    assert models.get("mol").options(user_id_head=True, user_heads=2).user_heads == 2


@pytest.mark.parametrize("name", ["hit", "fit"])
def test_without_the_scorer_nothing_is_added(name):
    model = build(name)
    inputs, labels = random_batch(SPEC, 8)
    assert not any("gate" in weight.name for weight in model.weights)
    assert "mixture_balance" not in model.loss_terms(inputs, labels)
    assert model.scorer_spec().kind != "mixture"
