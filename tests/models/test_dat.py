import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, dense, random_batch, randomise

import models

SMALL = {"hidden_units": (12, 6), "embedding_dim": 4, "dropout": 0.0}


def build(spec=SPEC, **options):
    model = models.build("dat", spec, {**SMALL, **options})
    randomise(model, seed=1)
    return model


def covariances(vectors, categories):
    found = {category: vectors[categories == category] for category in np.unique(categories) if category != 0}
    found = {category: np.cov(rows.T, bias=True) for category, rows in found.items() if len(rows) >= 2}
    largest = max(found, key=lambda category: (np.sum(categories == category), -category))
    return sum(np.sum((covariance - found[largest]) ** 2) for covariance in found.values())


@pytest.mark.parametrize("similarity", ["scaled_cosine", "dot"])
def test_the_loss_from_the_intermediate_outputs(similarity):
    model = build(similarity=similarity, user_mimic_weight=0.3, item_mimic_weight=0.7, category_weight=0.2)
    inputs, labels = random_batch(SPEC, 64)
    user, item = model.encode_user(inputs, training=True), model.encode_item(inputs, training=True)
    u, v = user["user_vector"].numpy(), item["item_vector"].numpy()
    if similarity != "dot":
        np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, rtol=1e-5)
    y = labels.numpy()[:, np.newaxis]
    of_user = np.mean((y * user["augmented"] + (1 - y) * v - v) ** 2)
    of_item = np.mean((y * item["augmented"] + (1 - y) * u - u) ** 2)
    found = model.loss_terms(inputs, labels)
    assert list(found) == ["cross_entropy", "mimic", "category_alignment"]
    assert float(found["mimic"]) == pytest.approx(0.3 * of_user + 0.7 * of_item, rel=1e-4)
    expected = 0.2 * covariances(v, inputs["genres"].numpy()[:, 0])
    assert float(found["category_alignment"]) == pytest.approx(expected, rel=1e-4)


def test_the_published_weights():
    options = models.get("dat").options()
    assert (options.user_mimic_weight, options.item_mimic_weight, options.category_weight) == (0.5, 0.5, 0.1)


def test_augmented_vectors_are_learned_rows_of_the_two_ids():
    model = build()
    inputs, _ = random_batch(SPEC, 16)
    for side, encode, table in (
        ("user_id", model.encode_user, model.user_augmented.table),
        ("movie_id", model.encode_item, model.item_augmented.table),
    ):
        assert table.shape == (SPEC[side].vocabulary_size, 6)
        rows = table.numpy()[inputs[side].numpy()]
        for _ in range(2):
            np.testing.assert_array_equal(encode(inputs, training=True)["augmented"], rows)


def test_what_each_loss_trains():
    model = build()
    inputs, labels = random_batch(SPEC, 64)

    def trained(term):
        with tf.GradientTape() as tape:
            loss = model.loss_terms(inputs, labels)[term]
        gradients = tape.gradient(loss, model.trainable_weights)
        pairs = zip(model.trainable_weights, gradients, strict=True)
        return {weight.name for weight, gradient in pairs if gradient is not None and np.any(dense(gradient))}

    assert trained("mimic") == {model.user_augmented.table.name, model.item_augmented.table.name}
    item_side = {weight.name for weight in (*model.item_dnn.trainable_weights, *model.item_augmented.weights)}
    assert trained("category_alignment") == item_side | {model.encoder.embedding.table.name}


def test_categories_of_one_value_and_none_at_all():
    inputs, labels = random_batch(SPEC, 64)
    spec = dataclasses.replace(SPEC, category="movie_id")
    model = build(spec)
    vectors = model.encode_item(inputs, training=True)["item_vector"].numpy()
    expected = 0.1 * covariances(vectors, inputs["movie_id"].numpy())
    assert float(model.loss_terms(inputs, labels)["category_alignment"]) == pytest.approx(expected, rel=1e-4)
    assert list(build(dataclasses.replace(SPEC, category=None)).loss_terms(inputs, labels)) == [
        "cross_entropy",
        "mimic",
    ]
