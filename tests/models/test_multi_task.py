"""Several tasks: their scores and losses by hand, what they share, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import small_options
from support import SPEC, dense, random_batch, randomise, take

import models
from layers import FieldEmbedding
from models.multi_task import MultiTaskModel, MultiTaskTwoTower, chained
from models.task_options import TaskOptions
from prerank.errors import InputError
from training.optimizer import LazyAdam

ABLE = [name for name in models.names() if models.get(name).several_tasks and name != "target_means"]
TASKS = ("click", "order")


def build(name, tasks=TASKS, seed=1, **options):
    of_tasks = TaskOptions(tasks=tasks, **options)
    return models.build(name, SPEC, small_options(name) | {"dropout": 0.0}, seed=seed, tasks=of_tasks)


def two_labels(rows=48):
    """Clicks, and orders of some of those who clicked."""
    inputs, clicked = random_batch(SPEC, rows)
    ordered = clicked.numpy() * (np.arange(rows) % 2 == 0)
    return inputs, np.stack([clicked.numpy(), ordered], axis=1).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def wrong(labels, probabilities, weights=None):
    losses = -np.log(np.where(labels == 1, probabilities, 1 - probabilities))
    return np.average(losses, weights=weights)


def factors(model, inputs):
    return [one.preference(inputs).numpy() for one in model.inner]


def test_which_models_can():
    decoupled = {name for name in models.names() if models.get(name).decoupled}
    assert set(ABLE) == decoupled - {"ease", "target_means"} | {"cold"}


@pytest.mark.parametrize("name", ABLE)
def test_each_task_has_a_score_and_the_first_ranks(name):
    model = build(name)
    randomise(model)
    inputs, _ = two_labels()
    found = {key: value.numpy() for key, value in model.named_outputs(inputs).items()}
    assert set(found) == {"logit", "probability", *(f"{kind}_{t}" for t in TASKS for kind in ("logit", "probability"))}
    for task, expected in zip(TASKS, factors(model, inputs), strict=True):
        np.testing.assert_allclose(found[f"logit_{task}"], expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found[f"probability_{task}"], sigmoid(expected), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found["logit"], found["logit_click"])
    np.testing.assert_array_equal(found["probability"], found["probability_click"])
    np.testing.assert_allclose(model(inputs, training=False), found["logit"], rtol=0, atol=1e-5)
    assert np.abs(found["logit_click"] - found["logit_order"]).max() > 1e-3
    if isinstance(model, MultiTaskTwoTower):
        states = model.named_scores(model.user_tower(inputs), model.item_tower(inputs))
        for key, value in states.items():
            np.testing.assert_allclose(value, found[key], rtol=0, atol=1e-5)
    else:
        assert name == "cold"


@pytest.mark.parametrize("name", ["dssm", "cold"])
def test_the_probability_of_a_later_task_is_the_product(name):
    model = build(name, ("click", "cart", "order"), esmm=True, rank_by="order")
    randomise(model)
    inputs, _ = two_labels()
    click, cart, order = map(sigmoid, factors(model, inputs))
    found = {key: value.numpy().astype(float) for key, value in model.named_outputs(inputs).items()}
    expected = {"click": click, "cart": click * cart, "order": click * cart * order}
    for task, probability in expected.items():
        np.testing.assert_allclose(found[f"probability_{task}"], probability, rtol=1e-4)
        np.testing.assert_allclose(found[f"logit_{task}"], np.log(probability / (1 - probability)), atol=1e-3)
    np.testing.assert_array_equal(found["probability"], found["probability_order"])
    np.testing.assert_array_equal(model.preference(inputs), model.task_logits(inputs)[:, 2])


def test_products_of_probabilities_near_0_and_1():
    """As expressed by logits, to their precision; float32 has no probability that near to 1."""
    a, b = (grid.ravel() for grid in np.meshgrid([-60.0, -20, -3, 0, 3, 20, 60], [-50.0, -20, -1, 0, 2, 20, 50]))
    expected = -np.logaddexp(np.logaddexp(-a, -b), -a - b)
    first, second = chained([tf.constant(a, tf.float32), tf.constant(b, tf.float32)])
    np.testing.assert_array_equal(first, a)
    np.testing.assert_allclose(second, expected, rtol=1e-5, atol=1e-5)
    moderate = (np.abs(a) < 10) & (np.abs(b) < 10)
    product = sigmoid(a[moderate]) * sigmoid(b[moderate])
    np.testing.assert_allclose(sigmoid(second.numpy()[moderate]), product, rtol=1e-5)


@pytest.mark.parametrize("esmm", [False, True])
def test_the_loss_is_the_sum_of_the_tasks_cross_entropies_over_all_rows(esmm):
    model = build("dssm", esmm=esmm, task_weights=(1.0, 3.0))
    randomise(model)
    inputs, labels = two_labels()
    weights = np.random.default_rng(0).choice([0.0, 0.5, 2.0], len(labels)).astype(np.float32)
    scored = model.scored(inputs, training=False)
    found = model.row_losses(inputs, tf.constant(labels), scored, tf.constant(weights))
    first, second = map(sigmoid, factors(model, inputs))
    of_order = first * second if esmm else second
    assert set(found) == {"cross_entropy_click", "cross_entropy_order"}
    assert float(found["cross_entropy_click"]) == pytest.approx(wrong(labels[:, 0], first, weights), rel=1e-4)
    assert float(found["cross_entropy_order"]) == pytest.approx(3 * wrong(labels[:, 1], of_order, weights), rel=1e-4)


def test_orders_train_the_probability_of_a_click_only_with_the_product():
    inputs, labels = two_labels()
    for esmm in (False, True):
        model = build("dssm", esmm=esmm)
        randomise(model)
        own = [weight for weight in model.inner[0].trainable_weights if "table" not in weight.name]
        with tf.GradientTape() as tape:
            loss = model.row_losses(inputs, tf.constant(labels), model.scored(inputs))["cross_entropy_order"]
        found = tape.gradient(loss, own)
        assert all((gradient is not None) == esmm for gradient in found)


def test_rows_without_a_label_of_a_task_do_not_count_for_it():
    model = build("hit")
    randomise(model)
    inputs, labels = two_labels()
    lacking = np.arange(len(labels)) % 3 == 0
    labels[lacking, 1] = np.nan
    model.partly_labelled = ("order",)
    found = model.row_losses(inputs, tf.constant(labels), model.scored(inputs, training=False))
    rest = np.flatnonzero(~lacking)
    few = take(inputs, rest)
    expected = model.row_losses(few, tf.constant(labels[rest]), model.scored(few, training=False))
    own = {name for name in found if name.endswith("_order")}
    assert len(own) > 1
    for name in own:
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-4)
    assert float(found["cross_entropy_click"]) != pytest.approx(float(expected["cross_entropy_click"]), rel=1e-3)


def test_tasks_share_the_embeddings_and_nothing_else():
    model = build("dssm")
    (table,) = [layer.table for layer in model.submodules if isinstance(layer, FieldEmbedding)]
    own = [[weight for weight in one.weights if weight is not table] for one in model.inner]
    assert {id(weight) for weight in own[0]}.isdisjoint(id(weight) for weight in own[1])
    assert len(model.weights) == len(own[0]) + len(own[1]) + 1
    kernels = [[w.numpy() for w in weights if len(w.shape) == 2] for weights in own]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(*kernels, strict=True)), "each task begins by itself"
    alone = models.build("dssm", SPEC, small_options("dssm") | {"dropout": 0.0}, seed=1)
    for a, b in zip(alone.weights, model.inner[0].weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    randomise(model)
    inputs, labels = two_labels()
    for place in (0, 1):
        with tf.GradientTape() as tape:
            terms = model.row_losses(inputs, tf.constant(labels), model.scored(inputs))
            loss = terms[f"cross_entropy_{TASKS[place]}"]
        assert np.abs(dense(tape.gradient(loss, table))).max() > 0


@pytest.mark.parametrize("name", ["dssm", "cold", "fit", "mind"])
def test_a_few_steps_lower_both_losses(name):
    model = build(name, esmm=models.get(name).calibrated)
    model.plan_training(1, 250)  # so that the temperature of FIT, which falls over these, changes little here
    model.compile(optimizer=LazyAdam(0.02, embedding_l2=0.0))
    inputs, labels = two_labels()
    history = [model.train_on_batch(inputs, labels, return_dict=True) for _ in range(25)]
    for task in TASKS:
        (term,) = [key for key in history[0] if key in (f"cross_entropy_{task}", f"sampled_softmax_{task}")]
        assert np.mean([step[term] for step in history[-3:]]) < np.mean([step[term] for step in history[:3]])


@pytest.mark.parametrize("name", ["fit", "cold"])
def test_it_is_rebuilt_from_its_configuration(name, tmp_path):
    model = build(name, rank_by="order", task_weights=(1.0, 2.0))
    randomise(model)
    model.save_trained(tmp_path)
    again = type(model).from_config(model.get_config())
    again.build_weights()
    again.load_trained(tmp_path)
    inputs, _ = two_labels()
    assert again.task_options == model.task_options
    for key, value in again.named_outputs(inputs).items():
        np.testing.assert_allclose(value, model.named_outputs(inputs)[key], rtol=0, atol=1e-6)


def test_one_task_is_a_plain_model():
    model = build("dssm", ("order",))
    assert not isinstance(model, MultiTaskModel)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dcn_v2", {}, "--tasks: expected a two-tower model or cold for several tasks. dcn_v2: one tower"),
        ("gbdt", {}, "--tasks: expected .* gbdt: "),
        ("ease", {}, "--tasks: expected .* ease: "),
        ("target_means", {}, "--tasks: several tasks take gradient steps. target_means: "),
        ("youtube_dnn", {"esmm": True}, "--esmm multiplies probabilities. youtube_dnn: "),
    ],
)
def test_what_cannot_be_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        build(name, **options)


def test_the_entire_space_takes_one_task():
    with pytest.raises(InputError, match="--entire_space takes one task"):
        models.build("dssm", SPEC, entire_space=True, tasks=TaskOptions(tasks=TASKS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ("click", "click")}, "--tasks names click twice"),
        ({"tasks": TASKS, "rank_by": "like"}, "--rank_by: expected one of --tasks"),
        ({"tasks": TASKS, "task_weights": (1.0,)}, "--task_weights: expected a number above 0 for each"),
        ({"tasks": TASKS, "task_weights": (1.0, 0.0)}, "--task_weights: expected a number above 0 for each"),
        ({"tasks": ("click",), "esmm": True}, "--esmm needs at least two --tasks"),
        ({"rank_by": "click"}, "--rank_by: expected one of --tasks"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(ValueError, match=message):
        TaskOptions(**options)
