import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise, take

import models

SMALL = {"hidden_units": (12, 6), "embedding_dim": 4, "dropout": 0.0}


def build(spec=SPEC, **options):
    model = models.build("poly_encoder", spec, {**SMALL, **options})
    randomise(model, seed=1)
    return model


def softmax(values):
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("similarity", ["dot", "scaled_cosine"])
def test_the_score_row_by_row(similarity):
    model = build(similarity=similarity)
    inputs, _ = random_batch(SPEC, 16)
    table, starts = model.encoder.embedding.table.numpy(), model.encoder.embedding._start
    kernel, bias = (weight.numpy() for weight in model.codes._project.weights)
    items = model.item_tower(inputs)["item_vector"].numpy()
    expected = []
    for row in range(16):
        ids = [starts[name] + int(inputs[name][row]) for name in ("user_id", "gender", "age")]
        ids += [starts["movie_id"] + index for index in inputs["user_hist"][row].numpy() if index]
        number = float(inputs["user_mean_rating"][row]) * model.numbers.vectors.numpy()
        projected = np.vstack([table[ids], number]) @ kernel + bias
        views = np.stack(
            [softmax(projected @ code / np.sqrt(6)) @ projected for code in model.codes.code_matrix.numpy()]
        )
        user = softmax(views @ items[row]) @ views
        score = user @ items[row]
        if similarity != "dot":
            score *= float(model.scorer.scale) / np.linalg.norm(user) / np.linalg.norm(items[row])
        expected.append(score + float(model.bias))
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("codes", [1, 3])
def test_no_attention_across_the_batch(codes):
    model = build(codes=codes)
    inputs, _ = random_batch(SPEC, 16)
    whole = model.encode_user(inputs, training=True)["user_vectors"]
    assert whole.shape == (16, codes, 6)
    alone = tf.concat([model.encode_user(take(inputs, [row]), training=True)["user_vectors"] for row in range(16)], 0)
    np.testing.assert_allclose(whole, alone, rtol=1e-4, atol=1e-5)
    item = tf.random.stateless_normal([16, 6], [1, 2])
    scores = [model.score({"user_vectors": whole[r : r + 1]}, {"item_vector": item[r : r + 1]}) for r in range(16)]
    together = model.score({"user_vectors": whole}, {"item_vector": item})
    np.testing.assert_allclose(together, tf.concat(scores, 0), rtol=1e-4, atol=1e-5)


def test_without_a_history_its_mean_is_a_field():
    model = build(dataclasses.replace(SPEC, history=None))
    inputs, labels = random_batch(SPEC, 16)
    changed = {**inputs, "user_hist": tf.zeros_like(inputs["user_hist"])}
    assert np.abs(model(inputs) - model(changed)).max() > 1e-4
    assert np.isfinite(float(model.loss_terms(inputs, labels)["cross_entropy"]))


def test_the_order_of_the_history_and_its_padding_do_not_count():
    model = build()
    inputs, _ = random_batch(SPEC, 16)
    history = tf.pad(tf.reverse(inputs["user_hist"], [1]), [[0, 0], [2, 3]])
    np.testing.assert_allclose(model({**inputs, "user_hist": history}), model(inputs), rtol=1e-4, atol=1e-5)
