import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch

from models.columns import column, columns
from models.inputs import FeatureEncoder

DIM = 4


def make(xla=False, keep=()):
    encoder = FeatureEncoder(columns(SPEC, "user", DIM), columns(SPEC, "item", DIM), keep, seed=1, xla=xla)
    encoder(random_batch(SPEC, 2)[0], "user")
    encoder.embedding.table.assign(tf.random.stateless_normal(encoder.embedding.table.shape, [1, 2]))
    return encoder


def rows(encoder, vocabulary, indices):
    starts = dict(zip(SPEC.tables, np.cumsum([0, *SPEC.tables.values()]), strict=False))
    return encoder.embedding.table.numpy()[starts[vocabulary] + np.asarray(indices)]


def pooled(encoder, vocabulary, indices):
    means = [rows(encoder, vocabulary, row[row != 0]).mean(axis=0) if row.any() else np.zeros(DIM) for row in indices]
    return np.stack(means)


@pytest.mark.parametrize("xla", [False, True])
def test_user_side(xla):
    encoder = make(xla)
    inputs = {name: values.numpy() for name, values in random_batch(SPEC, 16)[0].items()}
    assert (inputs["user_hist"][:, 0] == 0).any()
    assert (inputs["user_hist"][:, -1] != 0).any()
    encoded = encoder({name: tf.constant(values) for name, values in inputs.items()}, "user")
    parts = [rows(encoder, name, inputs[name]) for name in ("user_id", "gender", "age")]
    parts += [pooled(encoder, "movie_id", inputs["user_hist"]), inputs["user_mean_rating"][:, np.newaxis]]
    np.testing.assert_allclose(encoded.concat(), np.hstack(parts), rtol=1e-5, atol=1e-6)
    assert list(encoded.fields) == ["user_id", "gender", "age", "user_hist"]
    assert list(encoded.dense) == ["user_mean_rating"]
    assert encoded.sequences == encoded.masks == {}


def test_item_side_shares_the_history_s_table():
    encoder = make()
    inputs, _ = random_batch(SPEC, 16)
    encoded = encoder(inputs, "item")
    parts = [rows(encoder, "movie_id", inputs["movie_id"]), pooled(encoder, "genres", inputs["genres"].numpy())]
    parts += [inputs["item_mean_rating"].numpy()[:, np.newaxis]]
    np.testing.assert_allclose(encoded.concat(), np.hstack(parts), rtol=1e-5, atol=1e-6)
    assert len(encoder.weights) == 1
    assert encoder.embedding.table.shape == (sum(SPEC.tables.values()), DIM)


def test_some_fields_in_the_order_asked_for():
    encoder = make()
    inputs, _ = random_batch(SPEC, 5)
    encoded = encoder(inputs, "user")
    parts = [encoded.dense["user_mean_rating"], encoded.fields["age"], encoded.fields["gender"]]
    wanted = np.hstack(parts)
    np.testing.assert_array_equal(encoded.concat(["user_mean_rating", "age", "gender"]), wanted)


def test_sequences_element_by_element():
    encoder = make(keep=("user_hist",))
    inputs, _ = random_batch(SPEC, 16)
    encoded = encoder(inputs, "user")
    np.testing.assert_array_equal(encoded.masks["user_hist"], inputs["user_hist"].numpy() != 0)
    np.testing.assert_array_equal(encoded.sequences["user_hist"], rows(encoder, "movie_id", inputs["user_hist"]))
    np.testing.assert_allclose(encoded.concat(), make()(inputs, "user").concat(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keep", [(), ("user_hist",), ("genres", "user_hist")])
def test_embeddings_made_ahead(keep):
    encoder = make(keep=keep)
    inputs, _ = random_batch(SPEC, 16)
    plan = encoder.plan()({name: values.numpy() for name, values in inputs.items()})
    plan = {name: tf.constant(values) for name, values in plan.items()}
    assert encoder.gather({}) is None
    ahead = encoder.embed(inputs, plan, encoder.gather(plan))
    for side in ("user", "item"):
        found, wanted = encoder(ahead, side), encoder(inputs, side)
        np.testing.assert_allclose(found.concat(), wanted.concat(), rtol=1e-5, atol=1e-6)
        assert list(found.sequences) == list(wanted.sequences)
        for name, mask in wanted.masks.items():
            np.testing.assert_array_equal(found.masks[name], mask)
            np.testing.assert_array_equal(found.sequences[name][mask], wanted.sequences[name][mask])


def test_numbers_may_be_a_column():
    encoder = make()
    inputs, _ = random_batch(SPEC, 5)
    column = {**inputs, "user_mean_rating": inputs["user_mean_rating"][:, tf.newaxis]}
    np.testing.assert_array_equal(encoder(column, "user").concat(), encoder(inputs, "user").concat())


def test_longer_sequences_than_in_training():
    encoder = make()
    inputs, _ = random_batch(SPEC, 5)
    longer = {**inputs, "user_hist": tf.pad(inputs["user_hist"], [[0, 0], [0, 9]])}
    np.testing.assert_allclose(encoder(longer, "user").concat(), encoder(inputs, "user").concat(), rtol=1e-6)


def test_columns_that_do_not_fit():
    user, item = columns(SPEC, "user", DIM), columns(SPEC, "item", 2 * DIM)
    with pytest.raises(ValueError, match=r"one size. Received: \[4, 8\]"):
        FeatureEncoder(user, item)
    smaller = dataclasses.replace(SPEC["movie_id"], vocabulary_size=39)
    with pytest.raises(ValueError, match="'movie_id' differ in vocabulary_size"):
        FeatureEncoder(user, [column(smaller, DIM)])
