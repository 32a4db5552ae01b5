import dataclasses
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, dense, random_batch, randomise

import models
from prerank.errors import InputError
from training.optimizer import LazyAdam

SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "head_dim": 3, "dropout": 0.0}
LOSSES = get_args(models.get("hit").options.model_fields["generation_loss"].annotation)


def build(seed=0, **options):
    model = models.build("hit", SPEC, {**SMALL, **options}, seed=seed)
    randomise(model, seed=1)
    return model


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def cosines(mimics, targets):
    norms = [np.maximum(np.linalg.norm(vectors, axis=1), 1e-3) for vectors in (mimics, targets)]
    return np.sum(mimics * targets, axis=1) / norms[0] / norms[1]


@pytest.mark.parametrize("weight", [0.1, 0.7])
@pytest.mark.parametrize("similarity", ["scaled_cosine", "dot"])
@pytest.mark.parametrize(("user_heads", "item_heads"), [(2, 2), (3, 1)])
def test_the_loss_from_the_intermediate_outputs(user_heads, item_heads, similarity, weight):
    model = build(user_heads=user_heads, item_heads=item_heads, generation_weight=weight, similarity=similarity)
    inputs, labels = random_batch(SPEC, 64)
    user = {name: part.numpy() for name, part in model.encode_user(inputs, training=True).items()}
    item = {name: part.numpy() for name, part in model.encode_item(inputs, training=True).items()}
    u, v, y = user["user_heads"], item["item_heads"], labels.numpy()
    assert u.shape == (64, user_heads, 3)
    assert v.shape == (64, item_heads, 3)
    score = np.einsum("bhd,bkd->bhk", u, v).max(axis=2).sum(axis=1)
    if similarity == "scaled_cosine":
        np.testing.assert_allclose(np.linalg.norm(u, axis=2), 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(v, axis=2), 1, atol=1e-5)
        score = float(model.scorer.scale) * score
    p = sigmoid(score + float(model.bias))
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    flat_u, flat_v = u.reshape(64, -1), v.reshape(64, -1)
    # the user's generators mimic the item's heads, the item's the user's
    terms = [
        np.mean(1 - cosines(user["target"], flat_v)[y == 1]),
        np.mean(1 - cosines(user["non_target"], flat_v)[y == 0]),
        np.mean(1 - cosines(item["target"], flat_u)[y == 1]),
        np.mean(1 - cosines(item["non_target"], flat_u)[y == 0]),
    ]
    found = model.loss_terms(inputs, labels)
    assert float(found["cross_entropy"]) == pytest.approx(cross_entropy, rel=1e-5)
    assert float(found["generation"]) == pytest.approx(weight * sum(terms), rel=1e-5)
    assert list(found) == ["cross_entropy", "generation"]


def test_the_mimics_from_the_static_fields():
    model = build()
    inputs, _ = random_batch(SPEC, 16)
    table, starts = model.encoder.embedding.table.numpy(), model.encoder.embedding._start
    static = {
        "user": np.hstack([table[starts[name] + inputs[name].numpy()] for name in ("gender", "age")]),
        "item": table[starts["movie_id"] + inputs["movie_id"].numpy()],
    }
    for side, encode, generators in (
        ("user", model.encode_user, model.user_generators),
        ("item", model.encode_item, model.item_generators),
    ):
        encoded = encode(inputs, training=False)
        for kind in ("target", "non_target"):
            kernel_1, bias_1, kernel_2, bias_2 = (weight.numpy() for weight in generators[kind].weights)
            mimic = np.maximum(static[side] @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
            np.testing.assert_allclose(encoded[kind], mimic, rtol=1e-4, atol=1e-5)


def test_the_towers_take_the_mimics_in():
    model = build()
    features = {"user": 4 * 4 + 1, "item": 2 * 4 + 1}  # user_id, gender, age, history; movie_id, genres; a number each
    for side, tower in (("user", model.user_dnn), ("item", model.item_dnn)):
        assert tower._dense[0].kernel.shape == (features[side] + 2 * 2 * 3, 12)
    inputs, _ = random_batch(SPEC, 16)
    before = model(inputs, training=False).numpy()
    for generators in (model.user_generators, model.item_generators):
        for generator in generators.values():
            generator.weights[3].assign_add(tf.ones_like(generator.weights[3]))
            after = model(inputs, training=False).numpy()
            assert np.abs(after - before).max() > 1e-3
            before = after


def names_with_gradient(model, term):
    inputs, labels = random_batch(SPEC, 64)
    with tf.GradientTape() as tape:
        loss = model.loss_terms(inputs, labels)[term]
    gradients = tape.gradient(loss, model.trainable_weights)
    pairs = zip(model.trainable_weights, gradients, strict=True)
    return {weight.name for weight, gradient in pairs if gradient is not None and np.any(dense(gradient))}


def test_each_loss_trains_its_own_weights():
    for loss in set(LOSSES) - {"none"}:
        model = build(generation_loss=loss)
        generators = {weight.name for weight in model.trainable_weights if "generator" in weight.name}
        assert len(generators) == 4 * 4
        assert names_with_gradient(model, "generation") == generators
        # towers, representers, embeddings and bias
        others = {weight.name for weight in model.trainable_weights} - generators
        assert names_with_gradient(model, "cross_entropy") == others


@pytest.mark.parametrize(
    ("loss", "generators"), [*((loss, "both") for loss in LOSSES), ("cosine", "target"), ("mse", "non_target")]
)
def test_every_option_trains(loss, generators):
    model = models.build("hit", SPEC, {**SMALL, "generation_loss": loss, "generators": generators})
    kinds = () if loss == "none" else ("target", "non_target") if generators == "both" else (generators,)
    assert tuple(model.user_generators) == tuple(model.item_generators) == kinds
    model.compile(optimizer=LazyAdam(0.01), run_eagerly=True)
    inputs, labels = random_batch(SPEC, 32)
    before = [weight.numpy() for weight in model.trainable_weights]
    logs = model.train_on_batch(inputs, labels, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert ("generation" in logs) == (loss != "none")
    for weight, value in zip(model.trainable_weights, before, strict=True):
        assert (weight.numpy() != value).any(), weight.name


def test_training_in_half_precision():
    """The generation loss is steep at the small initial mimics: the loss scale has to fall before a step is made."""
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = models.build("hit", SPEC, SMALL)
        model.compile(optimizer=LazyAdam())
        inputs, labels = random_batch(SPEC, 32)
        before = [weight.numpy() for weight in model.trainable_weights]
        losses = [model.train_on_batch(inputs, labels, return_dict=True)["loss"] for _ in range(15)]
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert np.isfinite(losses).all()
    for weight, value in zip(model.trainable_weights, before, strict=True):
        assert np.isfinite(weight).all()
        assert (weight.numpy() != value).any(), weight.name


def test_one_generator_has_half_of_the_loss():
    inputs, labels = random_batch(SPEC, 64)
    parts = []
    for kinds in ("target", "non_target"):
        model = build(generators=kinds)
        user, item = model.encode_user(inputs, training=True), model.encode_item(inputs, training=True)
        chosen = labels.numpy() == (kinds == "target")
        expected = sum(
            np.mean(1 - cosines(side[kinds].numpy(), heads.numpy().reshape(64, -1))[chosen])
            for side, heads in ((user, item["item_heads"]), (item, user["user_heads"]))
        )
        parts.append(float(model.loss_terms(inputs, labels)["generation"]))
        assert parts[-1] == pytest.approx(0.1 * expected, rel=1e-5)


def test_the_activation_of_the_generators():
    inputs, _ = random_batch(SPEC, 64)
    linear, relu = (build(generator_output_activation=activation) for activation in ("linear", "relu"))
    for kind in ("target", "non_target"):
        assert (linear.encode_user(inputs)[kind].numpy() < 0).any()
        assert (relu.encode_user(inputs)[kind].numpy() >= 0).all()


@pytest.mark.parametrize("heads", range(1, 7))
def test_heads(heads):
    model = models.build("hit", SPEC, {**SMALL, "user_heads": heads, "item_heads": heads})
    inputs, labels = random_batch(SPEC, 8)
    assert model.user_tower(inputs)["user_heads"].shape == (8, heads, 3)
    assert np.isfinite(float(model.loss_terms(inputs, labels)["generation"]))


def test_a_data_set_without_static_fields():
    for role in ("user_static", "item_static"):
        with pytest.raises(InputError, match="hit: data set 'small' names no static fields"):
            models.build("hit", dataclasses.replace(SPEC, **{role: ()}))


def test_static_fields_of_every_kind():
    spec = dataclasses.replace(
        SPEC, user_static=("user_mean_rating", "user_hist", "age"), item_static=("genres", "item_mean_rating")
    )
    model = models.build("hit", spec, SMALL)
    inputs, labels = random_batch(spec, 8)
    assert np.isfinite(float(model.loss_terms(inputs, labels)["generation"]))
