import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from support import SPEC, random_batch, randomise

import models
from models.task_options import TaskOptions

SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "dropout": 0.0}


def build(spec=SPEC, **options):
    model = models.build("uni_match", spec, {**SMALL, **options})
    randomise(model)
    return model


def rows(count, seed=0):
    random = np.random.default_rng(seed)
    return {
        "user_id": random.integers(1, 12, count),
        "movie_id": random.integers(1, 30, count),
        "label": random.integers(0, 2, count).astype(np.float32),
        "weight": random.random(count),
    }


def reader(columns):
    return lambda names, most_rows=None: {name: columns[name] for name in names}


@pytest.mark.parametrize("weighted", [False, True])
def test_shares_are_those_of_the_positives(weighted):
    spec = dataclasses.replace(SPEC, row_columns=("weight",)) if weighted else SPEC
    model, columns = build(spec), rows(300)
    model.prepare(reader(columns))
    counted = columns["label"] * (columns["weight"] if weighted else 1)
    for name in ("user_id", "movie_id"):
        found = np.exp(model._log_shares[name].numpy())
        for index in range(SPEC[name].vocabulary_size):
            count = counted[columns[name] == index].sum()
            assert found[index] == pytest.approx((count or 1) / counted.sum(), rel=1e-4)


def test_without_a_positive_all_shares_are_equal():
    model, columns = build(), rows(10)
    model.prepare(reader({**columns, "label": np.zeros(10)}))
    assert all(np.ptp(shares) == 0 and np.isfinite(shares).all() for shares in model._log_shares.values())


def test_the_loss_of_the_positives():
    model = build(temperature=0.5, item_weight=0.7, user_weight=0.4)
    model.prepare(reader(rows(300)))
    inputs, labels = random_batch(SPEC, 32)
    u, v = (
        state.numpy().astype(np.float64)
        for state in (
            model.encode_user(inputs, training=True)["user_vector"],
            model.encode_item(inputs, training=True)["item_vector"],
        )
    )
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1, rtol=1e-5)
    log_u, log_v = (model._log_shares[name].numpy()[inputs[name].numpy()] for name in ("user_id", "movie_id"))
    liked = np.flatnonzero(labels)
    s = u[liked] @ v[liked].T / 0.5
    over_items, over_users = np.exp(s - log_v[liked]), np.exp(s.T - log_u[liked])
    losses = -0.7 * np.log(np.diag(over_items) / over_items.sum(axis=1))
    losses -= 0.4 * np.log(np.diag(over_users) / over_users.sum(axis=1))
    terms = model.loss_terms(inputs, labels)
    assert list(terms) == ["bidirectional_softmax"]
    assert float(terms["bidirectional_softmax"]) == pytest.approx(losses.mean(), rel=1e-4)


def test_a_row_counts_by_its_weight():
    model = build()
    inputs, labels = random_batch(SPEC, 16)
    weights = tf.cast(tf.range(16) % 3, tf.float32)
    found = model.row_losses(inputs, labels, model.scored(inputs), weights)["bidirectional_softmax"]
    places = np.flatnonzero(weights)
    taken = {name: tf.gather(values, places) for name, values in inputs.items()}
    assert float(found) != pytest.approx(float(model.loss_terms(inputs, labels)["bidirectional_softmax"]), rel=1e-3)
    scored = model.scored(inputs)
    of_rows = type(scored)(
        tf.gather(scored.logits, places),
        *({name: tf.gather(value, places) for name, value in side.items()} for side in scored[1:]),
    )
    kept = model.row_losses(taken, tf.gather(labels, places), of_rows, tf.gather(weights, places))
    assert float(found) == pytest.approx(float(kept["bidirectional_softmax"]), rel=1e-5)


def test_a_batch_without_positives():
    inputs, _ = random_batch(SPEC, 8)
    assert float(build().loss_terms(inputs, tf.zeros([8]))["bidirectional_softmax"]) == 0


def test_both_weights_are_0():
    with pytest.raises(ValidationError, match="--item_weight and --user_weight: expected one above 0"):
        models.get("uni_match").options(item_weight=0, user_weight=0)
    assert models.get("uni_match").options(item_weight=0).user_weight == 1


def test_of_several_tasks_each_counts_its_own_label():
    spec = dataclasses.replace(SPEC, labels=("click", "order"))
    model = models.build("uni_match", spec, SMALL, tasks=TaskOptions(tasks=("click", "order")))
    columns = rows(300) | {"label_order": np.arange(300) % 2}
    model.prepare(reader(columns))
    for label, inner in zip(("label", "label_order"), model.inner, strict=True):
        counts = np.bincount(columns["movie_id"], columns[label] == 1, minlength=40)
        expected = np.where(counts > 0, counts, 1) / counts.sum()
        np.testing.assert_allclose(np.exp(inner._log_shares["movie_id"].numpy()), expected, rtol=1e-4)
