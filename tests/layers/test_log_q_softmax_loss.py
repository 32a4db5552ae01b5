import numpy as np
import pytest
import tensorflow as tf

from layers import LogQSoftmaxLoss

ROWS, NEGATIVES, DIM = 6, 5, 3


def draw(seed=0):
    random = np.random.default_rng(seed)
    q = random.dirichlet(np.ones(9))
    ids, negative_ids = np.array([4, 2, 4, 7, 1, 0]), np.array([2, 4, 8, 2, 1])
    return {
        "user": random.normal(size=(ROWS, DIM)),
        "item": random.normal(size=(ROWS, DIM)),
        "item_ids": ids,
        "item_log_q": np.log(q[ids]),
        "labels": np.array([1.0, 0, 2, 1, 0.5, 1]),
        "negative": random.normal(size=(NEGATIVES, DIM)),
        "negative_ids": negative_ids,
        "negative_log_q": np.log(q[negative_ids]),
        "negative_weights": np.array([1.0, 1, 0, 2, 1]),
    }


def tensors(values):
    return {name: tf.constant(part, tf.int32 if "ids" in name else tf.float32) for name, part in values.items()}


def expected(values, temperature, refined):
    losses, weights = [], []
    for row in np.flatnonzero(values["labels"]):
        own = values["user"][row] @ values["item"][row] / temperature
        kept = (values["negative_ids"] != values["item_ids"][row]) & (values["negative_weights"] > 0)
        s, log_q = values["negative"][kept] @ values["user"][row] / temperature, values["negative_log_q"][kept]
        q = np.exp(values["item_log_q"][row])
        if refined:
            z = np.mean(np.exp(s - log_q)) * (1 - q)
            p = np.exp(own) / (np.exp(own) + z)
            losses.append((1 - p) * (np.log(z) - own))
        else:
            losses.append(-np.log(np.exp(own) / q / (np.exp(own) / q + np.exp(s - log_q).sum())))
        weights.append(values["labels"][row])
    return np.average(losses, weights=weights)


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_loss(refined, temperature):
    values = draw()
    found = LogQSoftmaxLoss(temperature, refined)(tensors(values))
    assert float(found) == pytest.approx(expected(values, temperature, refined), rel=1e-4)


@pytest.mark.parametrize("refined", [False, True])
def test_what_counts_for_nothing(refined):
    """Negatives of weight 0 and accidental hits, positives without a negative, and rows without a label."""
    values, loss = draw(), LogQSoftmaxLoss(0.5, refined)
    before = float(loss(tensors(values)))
    values["negative"][2] = 1e3  # of weight 0
    values["user"][1] = values["item"][1] = 30.0  # no positive
    assert float(loss(tensors(values))) == pytest.approx(before, rel=1e-5)
    hits = {**values, "negative_ids": np.full(NEGATIVES, 7)}
    without = {**hits, "labels": np.where(values["item_ids"] == 7, 0, values["labels"])}
    assert float(loss(tensors(hits))) == pytest.approx(float(loss(tensors(without))), rel=1e-5)
    assert float(loss(tensors({**values, "labels": np.zeros(ROWS)}))) == 0


def test_equal_probabilities_cancel():
    values = draw() | {"item_log_q": np.full(ROWS, -2.0), "negative_log_q": np.full(NEGATIVES, -2.0)}
    zero = values | {"item_log_q": np.zeros(ROWS), "negative_log_q": np.zeros(NEGATIVES)}
    loss = LogQSoftmaxLoss(0.5)
    assert float(loss(tensors(values))) == pytest.approx(float(loss(tensors(zero))), rel=1e-5)


def test_the_refined_gradient_is_that_of_the_softmax_over_the_catalogue():
    """Every item is a negative once, and all are drawn alike; the own one is an accidental hit."""
    items, own = np.random.default_rng(3).normal(size=(7, 7)), 2
    scores = tf.Variable(items[0], dtype=tf.float32)
    with tf.GradientTape() as tape:
        vectors = tf.linalg.diag(scores)
        loss = LogQSoftmaxLoss(1.0, refined=True)(
            {
                "user": tf.ones([1, 7]),
                "item": vectors[own : own + 1],
                "item_ids": tf.constant([own]),
                "item_log_q": tf.math.log([1 / 7]),
                "labels": tf.ones([1]),
                "negative": vectors,
                "negative_ids": tf.range(7),
                "negative_log_q": tf.fill([7], np.log(1 / 7).astype(np.float32)),
                "negative_weights": tf.ones([7]),
            }
        )
    softmax = np.exp(items[0]) / np.exp(items[0]).sum()
    np.testing.assert_allclose(tape.gradient(loss, scores), softmax - np.eye(7)[own], atol=1e-5)


def test_the_refined_gradient_is_unbiased_where_items_are_drawn_by_popularity():
    """The mean over many draws of its factor's estimate and sum comes to the softmax over the catalogue."""
    random = np.random.default_rng(0)
    scores, own, q = random.normal(size=5), 1, np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    ids = random.choice(5, 40_000, p=q)
    variable = tf.Variable(scores, dtype=tf.float32)
    with tf.GradientTape() as tape:
        vectors = tf.linalg.diag(variable)
        loss = LogQSoftmaxLoss(1.0, refined=True)(
            tensors(
                {
                    "item_ids": [own],
                    "item_log_q": np.log(q[[own]]),
                    "labels": [1.0],
                    "negative_ids": ids,
                    "negative_log_q": np.log(q[ids]),
                    "negative_weights": np.ones(len(ids)),
                }
            )
            | {"user": tf.ones([1, 5]), "item": vectors[own : own + 1], "negative": tf.gather(vectors, ids)}
        )
    softmax = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(tape.gradient(loss, variable), softmax - np.eye(5)[own], atol=0.02)
