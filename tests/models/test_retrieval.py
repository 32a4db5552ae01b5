"""What youtube_dnn and mind have in common, and what is special about each."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, dense, random_batch, randomise

import models
from features import MISSING, RESERVED, UNSEEN
from training.options import RunOptions
from training.trainer import compile_model

SMALL = {"hidden_units": (9, 6), "embedding_dim": 4, "dropout": 0.0, "sampled_items": 20}

every_retrieval_model = pytest.mark.parametrize("name", ["mind", "youtube_dnn"])


def build(name, spec=SPEC, **options):
    model = models.build(name, spec, {**SMALL, **options})
    randomise(model)
    return model


def lengths(vectors):
    return np.linalg.norm(vectors, axis=-1)


@every_retrieval_model
def test_vectors_have_length_1(name):
    model = build(name)
    inputs, _ = random_batch(SPEC, 32)
    for side in (model.user_tower(inputs), model.item_tower(inputs)):
        for vectors in side.values():
            np.testing.assert_allclose(lengths(vectors), 1, rtol=1e-5)


@every_retrieval_model
def test_the_score_is_the_largest_inner_product(name):
    model = build(name, temperature=0.2)
    inputs, _ = random_batch(SPEC, 32)
    (user,), (item,) = model.user_tower(inputs).values(), model.item_tower(inputs).values()
    user = user.numpy().reshape(32, -1, 4)
    expected = np.einsum("bkd,bd->bk", user, item.numpy()).max(axis=1) / 0.2 + float(model.bias)
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=1e-4, atol=1e-5)


@every_retrieval_model
def test_the_loss_of_positives_against_the_sampled_items(name):
    model = build(name, temperature=0.5)
    inputs, labels = random_batch(SPEC, 32)
    before = int(model._step)
    ids = model._sample().numpy()
    model._step.assign(before)
    assert ids.shape == (20,)
    user, item = model.encode_user(inputs, training=True), model.encode_item(inputs)
    u, v = model.vectors_for(user, item).numpy(), item["item_vector"].numpy()
    sampled = model._item_vectors(tf.constant(ids)).numpy()
    losses = []
    known = np.asarray(inputs["movie_id"]) >= RESERVED
    assert not known[np.flatnonzero(labels)].all()
    for row in np.flatnonzero(labels * known):
        own = np.exp(u[row] @ v[row] / 0.5)
        kept = ids != inputs["movie_id"][row].numpy()
        losses.append(-np.log(own / (own + np.exp(sampled[kept] @ u[row] / 0.5).sum())))
    terms = model.loss_terms(inputs, labels)
    assert list(terms) == ["sampled_softmax", "reserved_rows"]
    assert float(terms["sampled_softmax"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert int(model._step) == before + 1


@every_retrieval_model
def test_sampled_items_are_known_uniform_and_new_at_each_step(name):
    model = build(name, sampled_items=20_000)
    first, second = model._sample().numpy(), model._sample().numpy()
    assert not np.array_equal(first, second)
    counts = np.bincount(first, minlength=40)
    assert counts[:RESERVED].sum() == 0
    assert counts[RESERVED:].min() > 0.8 * 20_000 / 38
    assert counts[RESERVED:].max() < 1.2 * 20_000 / 38
    model._step.assign(0)
    np.testing.assert_array_equal(model._sample(), build(name, sampled_items=20_000)._sample())


@every_retrieval_model
def test_a_batch_without_positives(name):
    model = build(name)
    inputs, _ = random_batch(SPEC, 8)
    assert float(model.loss_terms(inputs, tf.zeros([8]))["sampled_softmax"]) == 0


@every_retrieval_model
def test_the_loss_of_reserved_rows_trains_nothing_else(name):
    model = build(name)
    inputs, labels = random_batch(SPEC, 32)
    with tf.GradientTape() as tape:
        loss = model.loss_terms(inputs, labels)["reserved_rows"]
    table = model.encoder.embedding.table
    gradients = tape.gradient(loss, [table, *(weight for weight in model.trainable_weights if weight is not table)])
    rows = np.flatnonzero(np.any(dense(gradients[0]) != 0, axis=1)) - model.encoder.embedding._start["movie_id"]
    assert rows.tolist() == [MISSING, UNSEEN]
    assert all(gradient is None for gradient in gradients[1:])


CHANCES = [
    (origin, correction) for origin in ("catalogue", "batch", "mixed") for correction in ("log_q", "refined", "none")
]


def counted(model, rows=200):
    """Give a model the shares of random positives; returns the probabilities by the item id's index."""
    random = np.random.default_rng(5)
    items, labels = random.integers(0, 40, rows), random.integers(0, 2, rows)
    columns = {"movie_id": items, "label": labels}
    model.prepare(lambda names, most_rows=None: {name: columns[name] for name in names})
    counts = np.bincount(items[labels == 1], minlength=40)
    return np.where(counts > 0, counts, 1) / counts[RESERVED:].sum()


@every_retrieval_model
@pytest.mark.parametrize(("origin", "correction"), CHANCES)
def test_the_loss_of_every_kind_of_negatives(name, origin, correction):
    model = build(name, temperature=0.5, negatives_from=origin, correction=correction)
    shares = counted(model)
    inputs, labels = random_batch(SPEC, 32)
    before = int(model._step)
    drawn = model._sample().numpy()
    model._step.assign(before)
    user, item = model.encode_user(inputs, training=True), model.encode_item(inputs)
    u, v = model.vectors_for(user, item).numpy().astype(np.float64), item["item_vector"].numpy()
    own = inputs["movie_id"].numpy()
    liked = np.flatnonzero(labels.numpy() * (own >= RESERVED))
    sampled = model._item_vectors(tf.constant(drawn)).numpy()
    vectors = np.concatenate([v[liked]] * (origin != "catalogue") + [sampled] * (origin != "batch"))
    ids = np.concatenate([own[liked]] * (origin != "catalogue") + [drawn] * (origin != "batch"))
    count = len(liked) if origin != "catalogue" else 0
    uniform = np.full(40, 1 / 38)
    q = shares if origin == "batch" else (count * shares + 20 * uniform) / (count + 20)
    losses = []
    for row in liked:
        kept = ids != own[row]
        s, mine = vectors[kept] @ u[row] / 0.5, v[row] @ u[row] / 0.5
        if correction == "refined":
            z = np.mean(np.exp(s) / q[ids[kept]]) * (1 - q[own[row]])
            losses.append(z / (np.exp(mine) + z) * (np.log(z) - mine))
        else:
            chance = q if correction == "log_q" else np.ones(40)
            losses.append(np.log1p(np.exp(-mine) * chance[own[row]] * (np.exp(s) / chance[ids[kept]]).sum()))
    found = model.loss_terms(inputs, labels)
    assert list(found) == ["sampled_softmax", "reserved_rows"]
    assert float(found["sampled_softmax"]) == pytest.approx(np.mean(losses), rel=1e-4)


@every_retrieval_model
def test_shares_count_by_the_rows_weights(name):
    spec = dataclasses.replace(SPEC, row_columns=("weight",))
    model = build(name, spec, negatives_from="batch")
    columns = {
        "movie_id": np.array([3, 3, 4, 4, 0, 5]),
        "label": np.array([1, 1, 1, 0, 1, 0]),
        "weight": np.array([2.0, 1.0, 6.0, 9.0, 5.0, 1.0]),
    }
    model.prepare(lambda names, most_rows=None: {name: columns[name] for name in names})
    found = np.exp(model._log_shares.numpy())
    np.testing.assert_allclose(found[[3, 4, 5, 6]], np.array([3, 6, 1, 1]) / 9, rtol=1e-5)


@every_retrieval_model
def test_a_model_with_drawn_negatives_has_no_further_weights(name):
    assert not any("popularity" in weight.name for weight in build(name).weights)
    assert any("item_log_popularity" in weight.name for weight in build(name, negatives_from="mixed").weights)


def planted(random, rows, masked):
    """Positives of users that like one half of the items each, by gender; a share of the item ids is hidden."""
    inputs, _ = random_batch(SPEC, rows, seed=random.integers(1 << 30))
    gender = random.integers(RESERVED, 4, rows)
    popular = np.repeat([4.0, 1.0], [6, 13])
    item = RESERVED + 19 * (gender - RESERVED) + random.choice(19, rows, p=popular / popular.sum())
    item = np.where(random.random(rows) < masked, random.choice([MISSING, UNSEEN], rows), item)
    chosen = {"gender": gender, "movie_id": item}
    return inputs | {key: tf.constant(value, tf.int32) for key, value in chosen.items()}, tf.ones([rows])


@every_retrieval_model
@pytest.mark.parametrize("masked", [0.0, 0.1])
def test_reserved_rows_rank_in_the_middle_of_the_catalogue(name, masked):
    """For every user they are below the items that the user likes, and above the others, whatever training hides."""
    model = models.build(name, SPEC, SMALL | {"temperature": 0.2, "embedding_dim": 8}, seed=1)
    compile_model(model, RunOptions(lr=0.01))
    random = np.random.default_rng(0)
    step = tf.function(model.train_step, reduce_retracing=True)
    for _ in range(150):
        step(planted(random, 256, masked))
    inputs, _ = planted(random, 40, 0.0)
    items = model.item_tower({**inputs, "movie_id": tf.range(40)})
    users = {key: tf.repeat(value, 40, axis=0) for key, value in model.user_tower(inputs).items()}
    repeated = {key: tf.tile(value, [40, 1]) for key, value in items.items()}
    scores = model.score(users, repeated).numpy().reshape(40, 40)
    likes = (np.arange(38) >= 19) == (np.asarray(inputs["gender"])[:, np.newaxis] == 3)
    for row in (MISSING, UNSEEN):
        above = scores[:, RESERVED:] > scores[:, [row]]
        assert above[likes].mean() > 0.85
        assert above[~likes].mean() < 0.2
        assert 0.2 < (scores[:, RESERVED:].mean(axis=0) > scores[:, row].mean()).mean() < 0.8  # the mean user
    assert scores[:, RESERVED:][likes].mean() > scores[:, RESERVED:][~likes].mean() + 1


@every_retrieval_model
def test_a_data_set_without_a_history(name):
    fields = tuple(field for field in SPEC.fields if field.name != SPEC.history)
    spec = dataclasses.replace(SPEC, history=None, fields=fields)
    model = build(name, spec)
    inputs, labels = random_batch(spec, 16)
    assert np.isfinite(model(inputs, training=False)).all()
    assert np.isfinite(float(model.loss_terms(inputs, labels)["sampled_softmax"]))
    if name == "mind":
        assert model.user_tower(inputs)["user_interests"].shape == (16, 1, 4)


@pytest.mark.parametrize("interests", [1, 2, 4])
def test_interests_of_mind(interests):
    model = build("mind", interests=interests, routing_iterations=2)
    inputs, _ = random_batch(SPEC, 16)
    found = model.user_tower(inputs)["user_interests"]
    assert found.shape == (16, interests, 4)
    np.testing.assert_array_equal(found, model.user_tower(inputs)["user_interests"])
    empty = model.user_tower({**inputs, "user_hist": tf.zeros_like(inputs["user_hist"])})["user_interests"].numpy()
    np.testing.assert_allclose(empty, np.repeat(empty[:, :1], interests, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "trained"),
    [("mind", False), ("youtube_dnn", False), ("ease", False), ("gbdt", False), ("dssm", True), ("lr", True)],
)
def test_the_bias_is_trained_where_the_loss_depends_on_it(name, trained):
    """A softmax over the items of a user does not see what is added to all of them."""
    model = models.build(name, SPEC)
    assert [weight.name for weight in model.weights if weight is model.bias]
    assert any(weight is model.bias for weight in model.trainable_weights) == trained
