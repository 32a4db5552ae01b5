import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise, take

import models

SMALL = {"hidden_units": (12, 6), "embedding_dim": 4, "dropout": 0.0}


def build(**options):
    model = models.build("mvke", SPEC, {**SMALL, **options})
    randomise(model, seed=1)
    return model


def softmax(values):
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


def test_the_score_row_by_row():
    model = build()
    inputs, _ = random_batch(SPEC, 16)
    encoded = model.encoder(inputs, "user")
    numbers = encoded.dense["user_mean_rating"].numpy() * model.numbers.vectors.numpy()[0]
    fields = np.stack([*encoded.fields.values(), numbers], axis=1)
    assert fields.shape == (16, 5, 4)
    kernel, bias = (weight.numpy() for weight in model.virtual_kernels._project.weights)
    kernels = model.virtual_kernels.code_matrix.numpy()
    experts, biases = (weight.numpy() for weight in model.experts.weights)
    items = model.item_tower(inputs)["item_vector"].numpy()
    expected = []
    for row in range(16):
        projected = fields[row] @ kernel + bias
        views = [softmax(projected @ query / np.sqrt(6)) @ projected for query in kernels]
        vectors = np.stack([view @ experts[place] + biases[place] for place, view in enumerate(views)])
        user = softmax(kernels @ items[row] / np.sqrt(6)) @ vectors
        cosine = user @ items[row] / np.linalg.norm(user) / np.linalg.norm(items[row])
        expected.append(float(model.scorer.scale) * cosine + float(model.bias))
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kernels", [1, 3])
def test_no_attention_across_the_batch(kernels):
    """Also in training, where the item's batch norm is the one thing that joins rows."""
    model = build(kernels=kernels)
    inputs, _ = random_batch(SPEC, 16)
    whole = model.encode_user(inputs, training=True)["user_vectors"]
    assert whole.shape == (16, kernels, 6)
    alone = tf.concat([model.encode_user(take(inputs, [row]), training=True)["user_vectors"] for row in range(16)], 0)
    np.testing.assert_allclose(whole, alone, rtol=1e-4, atol=1e-5)
    item = {"item_vector": tf.random.stateless_normal([16, 6], [1, 2])}
    scores = [
        model.score({"user_vectors": whole[row : row + 1]}, {"item_vector": item["item_vector"][row : row + 1]})
        for row in range(16)
    ]
    np.testing.assert_allclose(model.score({"user_vectors": whole}, item), tf.concat(scores, 0), rtol=1e-4, atol=1e-5)
