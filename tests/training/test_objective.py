"""What a training minimises, against NumPy, on a batch of four rows and two candidates for each."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conformance import DIFFERENTIABLE, build, small_options
from support import SPEC, random_batch, randomise

import models
from models.batch import Batch
from models.inputs import paired
from training.config import parse
from training.objective import TrainingObjective
from training.optimizer import LazyAdam

ROWS, DRAWN = 4, 8
NONE = np.nan
USERS = np.array([0, 1, 2, 3, 0, 0, 1, 1, 2, 2, 3, 3], np.int32)
ITEMS = np.arange(ROWS + DRAWN, dtype=np.int32)
LABELS = np.array([1, 0, 1, NONE] + DRAWN * [NONE], np.float32)
WEIGHTS = np.array([1, 2, 0.5, 1, 1, 1, 2, 0, 0.5, 0.5, 1, 1], np.float32)
STAGES = np.array([3, 2, 3, 1] + DRAWN * [0], np.int32)
TEACHER = np.array([2, NONE, -1, 0.5, 0.3, -2, 1, 0, -0.5, 0.7, -1, 1.5], np.float32)
LOG_Q = np.log(np.linspace(0.05, 0.3, ROWS + DRAWN)).astype(np.float32)
OWN = np.array([[0, 4, 5], [1, 6, -1], [2, 8, 9], [3, 10, 11]], np.int32)
"""Each row and its candidates; pair 7 is an accidental hit."""
TOGETHER = np.array([[0, 1, 4, 5, 6, -1], [2, 3, 8, 9, 10, 11]], np.int32)
"""Rows 0 and 1 are a list, and rows 2 and 3, with their candidates."""


def batch_of(lists):
    features, _ = random_batch(SPEC, ROWS + DRAWN)
    users = {field.name for field in SPEC.side("user")}
    features = {name: value[:ROWS] if name in users else value for name, value in features.items()}
    parts = map(tf.constant, (USERS, ITEMS, LABELS, WEIGHTS, TEACHER, STAGES, LOG_Q, lists))
    return Batch(features, {}, *parts, share=tf.constant(1.0), labelled_share=tf.constant(1.0))


def made(name="dssm", **options):
    """A model whose batch norm takes its moving averages, so that a pair's logit does not depend on the others."""
    model = build(name, **({} if name == "lr" else {"dropout": 0.0}), **options)
    randomise(model)
    model.scored = functools.partial(type(model).scored, model, training=False)
    return model


def objective(*argv, unlabelled=True):
    options = parse(argv, program="x", description="x").run
    return TrainingObjective(options, unlabelled, [0, 1, 2, 3], SPEC["movie_id"].vocabulary_size)


def terms(model, asked, batch):
    model.objective = asked
    return {name: float(value) for name, value in model.losses(batch).items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bce(label, logit):
    return -(label * np.log(sigmoid(logit)) + (1 - label) * np.log(sigmoid(-logit)))


def mean(pairs):
    return sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)


def rows_of(lists):
    return [[int(place) for place in row if place >= 0] for row in lists]


def label(pair):
    return 0.0 if np.isnan(LABELS[pair]) else float(LABELS[pair])


def pairwise(s, lists):
    return mean(
        [(WEIGHTS[i], np.log1p(np.exp(s[j] - s[i]))) for row in lists for i in row for j in row if label(i) > label(j)]
    )


def softmax(s, lists):
    return mean(
        [(WEIGHTS[i], np.log(sum(np.exp(s[row]))) - s[i]) for row in lists for i in row if label(i) and len(row) > 1]
    )


def regression_compatible(s, lists):
    return softmax(np.log(sigmoid(s)), lists)


def joint(s, lists):
    found = []
    for row in lists:
        for i in row:
            z = s if label(i) else -s
            found.append((WEIGHTS[i], np.log(sum(sigmoid(z[row]))) - np.log(sigmoid(z[i]))))
    return mean(found)


def top_k(s, lists, k):
    found = []
    for row in lists:
        if len(row) > k:
            falling = np.sort(s[row])[::-1]
            found += [(WEIGHTS[i], bce(label(i), s[i] - (falling[k - 1] + falling[k]) / 2)) for i in row]
    return mean(found)


def full_stage(s, lists):
    return mean(
        [
            (WEIGHTS[i], np.log1p(np.exp(s[j] - s[i])))
            for row in lists
            for i in row
            for j in row
            if STAGES[i] > STAGES[j]
        ]
    )


def stage_softmax(s, lists):
    total = 0.0
    for threshold in (1, 2, 3):
        found = []
        for row in lists:
            others = sum(np.exp(s[j]) for j in row if STAGES[j] < threshold)
            found += [
                (WEIGHTS[i], -np.log(np.exp(s[i]) / (np.exp(s[i]) + others)))
                for i in row
                if STAGES[i] >= threshold and others
            ]
        total += mean(found)
    return total


LOSSES = {
    "pairwise": (pairwise, []),
    "softmax": (softmax, []),
    "regression_compatible": (regression_compatible, []),
    "joint_ranking_calibration": (joint, []),
    "top_k": (lambda s, lists: top_k(s, lists, 2), ["--loss_k", "2"]),
    "full_stage": (full_stage, []),
    "stage_softmax": (stage_softmax, []),
}


@pytest.fixture(scope="module")
def model():
    return made()


@pytest.fixture(scope="module")
def logits(model):
    """Of the pairs, one by one."""
    features = paired(batch_of(OWN).features, SPEC, USERS, ITEMS)
    return model(features, training=False).numpy().astype(np.float64)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_over_lists(model, logits, loss, together):
    if loss in ("full_stage", "stage_softmax") and not together:
        return
    formula, further = LOSSES[loss]
    lists, flags = (TOGETHER, ["--list_by", "request"]) if together else (OWN, [])
    asked = objective("--loss", loss, "--loss_weight", "0.3", "--candidates_per_row", "2", *flags, *further)
    found = terms(model, asked, batch_of(lists))
    own = mean([(WEIGHTS[i], bce(LABELS[i], logits[i])) for i in range(3)])
    assert found == pytest.approx({"cross_entropy": own, loss: 0.3 * formula(logits, rows_of(lists))}, rel=1e-4)


def test_losses_over_lists_with_a_bias_of_each_item(model, logits):
    asked = objective("--loss", "pairwise", "--candidates_per_row", "2", "--list_item_bias")
    biases = np.random.default_rng(5).normal(size=SPEC["movie_id"].vocabulary_size)
    factor, table = asked.variables
    factor.assign(0.4)
    table.assign(biases)
    batch = batch_of(OWN)
    seen = np.exp(0.4) * logits + 10 * biases[batch.features["movie_id"].numpy()[ITEMS]]  # the variable's unit is 10
    found = terms(model, asked, batch)
    assert found["pairwise"] == pytest.approx(pairwise(seen, rows_of(OWN)), rel=1e-4)
    own = mean([(WEIGHTS[i], bce(LABELS[i], logits[i])) for i in range(3)])
    assert found["cross_entropy"] == pytest.approx(own, rel=1e-4)


def test_a_bias_of_each_item_is_trained_beside_the_model():
    model = made()
    names = {weight.name for weight in model.weights}
    model.objective = asked = objective("--loss", "pairwise", "--candidates_per_row", "2", "--list_item_bias")
    model.compile(LazyAdam(0.1))
    batch = batch_of(OWN)
    model.train_step(batch)
    factor, table = asked.variables
    assert float(factor) != 0
    items, changed = batch.features["movie_id"].numpy(), np.flatnonzero(table.numpy())
    assert len(changed)
    assert set(changed) <= set(items.tolist())
    assert {weight.name for weight in model.weights} == names


def test_softmax_of_items_drawn_by_popularity_is_corrected(model, logits):
    asked = objective("--loss", "softmax", "--candidates_per_row", "2", "--candidates_from", "popularity")
    wanted = softmax(logits - LOG_Q, rows_of(OWN))
    assert terms(model, asked, batch_of(OWN))["softmax"] == pytest.approx(wanted, rel=1e-4)


def test_candidates_as_negatives_of_cross_entropy(model, logits):
    found = terms(model, objective("--candidates_per_row", "2", "--loss_weight", "0.5"), batch_of(OWN))
    wanted = mean([(WEIGHTS[i], bce(0, logits[i])) for i in range(ROWS, ROWS + DRAWN)])
    assert found["candidates"] == pytest.approx(0.5 * wanted, rel=1e-4)


def known(on):
    chosen = {"rated": range(ROWS), "candidates": range(ROWS, ROWS + DRAWN), "both": range(ROWS + DRAWN)}[on]
    return [i for i in chosen if np.isfinite(TEACHER[i]) and WEIGHTS[i]]


def pointwise_teacher(s, lists, on):
    return 4 * mean([(WEIGHTS[i], bce(sigmoid(TEACHER[i] / 2), s[i] / 2)) for i in known(on)])


def pairwise_teacher(s, lists, on):
    found = []
    for row in lists:
        row = [i for i in row if i in known(on)]
        pairs = [(i, j) for i in row for j in row if TEACHER[i] > TEACHER[j]]
        found += [(WEIGHTS[i], max(0, TEACHER[i] - TEACHER[j] - (s[i] - s[j]))) for i, j in pairs]
    return mean(found)


def listwise_teacher(s, lists, on):
    found = []
    for row in lists:
        row = [i for i in row if i in known(on)]
        if len(row) > 1:
            shares = np.exp(TEACHER[row] / 2) / np.exp(TEACHER[row] / 2).sum()
            losses = np.log(np.exp(s[row] / 2).sum()) - s[row] / 2
            found += list(zip(WEIGHTS[row] * shares, losses, strict=True))
    return 4 * mean(found)


@pytest.mark.parametrize("on", ["rated", "candidates", "both"])
@pytest.mark.parametrize("kind", ["pointwise", "pairwise", "listwise"])
def test_losses_of_a_teacher(model, logits, kind, on):
    flags = ["--teacher", "x", "--teacher_loss", kind, "--teacher_on", on, "--teacher_weight", "0.7"]
    flags += [] if kind == "pairwise" else ["--teacher_temperature", "2"]
    asked = objective(*flags, "--candidates_per_row", "2", "--list_by", "request")
    batch = batch_of(TOGETHER)
    if on == "rated":  # the assembly gives no logits of candidates then
        batch = batch._replace(teacher=tf.constant(np.where(np.arange(12) < ROWS, TEACHER, NONE)))
    formula = {"pointwise": pointwise_teacher, "pairwise": pairwise_teacher, "listwise": listwise_teacher}[kind]
    wanted = 0.7 * formula(logits, rows_of(TOGETHER), on)
    assert terms(model, asked, batch)["teacher"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_model_scores_the_pairs_and_keeps_its_own_loss(name):
    """With a loss over lists, its own terms are those of its labelled rows by themselves."""
    model = made(name)
    asked = objective("--loss", "pairwise", "--candidates_per_row", "2")
    batch = batch_of(OWN)._replace(weights=tf.ones([ROWS + DRAWN]))
    model.objective = None
    features = {name: value[:3] for name, value in batch.features.items()}
    apart = {name: float(value) for name, value in model.loss_terms(features, batch.labels[:3]).items()}
    if hasattr(model, "_step"):
        model._step.assign(0)  # the same drawn items
    found = terms(model, asked, batch)
    scores = model(paired(batch.features, SPEC, USERS, ITEMS), training=False).numpy().astype(np.float64)
    losses = [np.log1p(np.exp(scores[j] - scores[i])) for i, *rest in rows_of(OWN) if label(i) for j in rest]
    assert found.pop("pairwise") == pytest.approx(np.mean(losses), rel=1e-3)
    for term, value in apart.items():
        assert found[term] == pytest.approx(value, rel=1e-3, abs=1e-6), term


@pytest.mark.parametrize("name", ["dssm", "fit", "cold", "hit"])
def test_planned_look_ups_of_more_items_than_users_are_the_same_step(name):
    def step(planned):
        model = models.build(name, SPEC, {**small_options(name), "dropout": 0.0}, seed=3)
        model.compile(LazyAdam(1e-2, epsilon=0.1))
        model.objective = objective("--loss", "pairwise", "--candidates_per_row", "2")
        batch = batch_of(OWN)
        if planned:
            plan = model.plan_lookups()({name: value.numpy() for name, value in batch.features.items()})
            batch = batch._replace(plan={name: tf.constant(value) for name, value in plan.items()})
        model.train_step(batch)
        return model.get_weights()

    for found, wanted in zip(step(True), step(False), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
