import numpy as np
import pytest
import tensorflow as tf
from conformance import DIFFERENTIABLE, ENTIRE_SPACE, build
from support import SPEC, random_batch, take
from test_optimizer import BATCHES, RATE, Model, assert_state, numpy_steps, step_data

from layers import Dropout
from models.batch import Batch
from prerank.errors import InputError
from training.batches import Batches, Share
from training.callbacks import copy_weights
from training.config import parse
from training.distribution import Distribution, check_strategy, connect
from training.objective import TrainingObjective
from training.objective_options import ObjectiveOptions
from training.optimizer import LazyAdam
from training.options import RunOptions
from training.progress import CheckpointStore
from training.trainer import train

LOSSES_OVER_A_REPLICAS_ROWS = {"dat", "hit", "int_tower", "mind", "youtube_dnn", *ENTIRE_SPACE}
"""Models some of whose losses are no means over all rows."""


@pytest.fixture(scope="module")
def two():
    return Distribution(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))


def replicas(distribution, value_of):
    """A value for each replica, by its number."""
    strategy = distribution.strategy
    return strategy.experimental_distribute_values_from_function(
        lambda context: value_of(context.replica_id_in_sync_group)
    )


def test_rows_that_several_replicas_look_up_are_summed_before_they_move(two):
    """One replica's rows of a step repeat, and are those of the other too, or none."""
    with two.strategy.scope():
        model, optimizer = Model(), LazyAdam(RATE, embedding_l2=0.3)
        optimizer.build([model.table, model.vector])

    def step(rows, targets):
        with tf.GradientTape() as tape:
            loss = model.loss(rows, targets)
        optimizer.minimize(loss, [model.table, model.vector], tape=tape)

    run = tf.function(lambda *data: two.strategy.run(step, args=data), reduce_retracing=True)
    for number in range(len(BATCHES)):
        rows, targets = (np.array_split(array, 2) for array in step_data(number))
        rows_of = [part.astype(np.int32) for part in rows]
        run(
            replicas(two, lambda r, rows=rows_of: tf.constant(rows[r])),
            replicas(two, lambda r, targets=targets: tf.constant(targets[r])),
        )
    assert_state(model, optimizer, numpy_steps(len(BATCHES), 0.3))
    for variable in (model.table, *optimizer._first, *optimizer._second):
        _check_same_on_both(two, variable)


def _check_same_on_both(two, variable):
    first, second = (copy.numpy() for copy in two.strategy.experimental_local_results(variable))
    np.testing.assert_array_equal(first, second, err_msg=variable.name)


def _compiled(model):
    # A step of Adam hardly depends on a gradient's size, so that rounding would show, but for a large epsilon.
    model.compile(LazyAdam(1e-2, epsilon=0.1, embedding_l2=1e-2))
    model.optimizer.build(model.trainable_variables)
    return model


def _planned(model, inputs):
    plan = model.plan_lookups()
    arrays = {} if plan is None else plan({name: values.numpy() for name, values in inputs.items()})
    return {name: tf.constant(values) for name, values in arrays.items()}


def _slices(model, inputs, labels):
    """The data of both replicas for `train_step`."""
    rows = len(labels)
    for start, stop in Share(range(2), 2).bounds(rows):
        part = take(inputs, range(start, stop))
        yield Batch.of_rows(part, labels[start:stop], _planned(model, part), (stop - start) / rows)


def _without_dropout(name):
    return {} if name == "lr" else {"dropout": 0.0}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "dssm" else pytest.mark.slow) for name in DIFFERENTIABLE]
)
def test_two_replicas_step_as_one(two, name):
    alone = _compiled(build(name, seed=3, **_without_dropout(name)))
    together = two.replicated(alone, lambda: build(name, seed=3, **_without_dropout(name)))
    with two.strategy.scope():
        _compiled(together)
    for model in (alone, together):
        model.plan_training(1, 1)
    copy_weights(alone, together)
    inputs, labels = random_batch(SPEC, 65)
    wanted = alone.train_step(Batch.of_rows(inputs, labels, _planned(alone, inputs)))
    slices = list(_slices(together, inputs, labels))
    run = tf.function(lambda data: two.strategy.run(together.train_step, args=(data,)))
    found = run(replicas(two, slices.__getitem__))
    for variable in together.trainable_variables:
        _check_same_on_both(two, variable)
    if name not in LOSSES_OVER_A_REPLICAS_ROWS:
        (loss, *_) = two.strategy.experimental_local_results(found["loss"])
        assert float(loss) == pytest.approx(float(wanted["loss"]), rel=1e-4)
        for weight, a, b in zip(alone.weights, together.get_weights(), alone.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6, err_msg=weight.name)


def test_replicas_with_few_labels_step_as_one(two):
    """The slices differ in how many of their rows have a label, and in the weights of these."""
    alone = _compiled(build("dssm", seed=3, dropout=0.0))
    together = two.replicated(alone, lambda: build("dssm", seed=3, dropout=0.0))
    with two.strategy.scope():
        _compiled(together)
    copy_weights(alone, together)
    alone.objective = together.objective = TrainingObjective(ObjectiveOptions(), unlabelled=True)
    inputs, labels = random_batch(SPEC, 65)
    labels = labels.numpy().astype(np.float32)
    labels[3:30] = np.nan
    weights = np.random.default_rng(0).choice([0.5, 1, 4], 65).astype(np.float32)
    counted = np.where(np.isnan(labels), 0, weights)

    def batch(start, stop):
        part = take(inputs, range(start, stop))
        made = Batch.of_rows(part, labels[start:stop], _planned(alone, part), (stop - start) / 65)
        share = tf.constant(counted[start:stop].sum() / counted.sum(), tf.float32)
        return made._replace(weights=tf.constant(weights[start:stop]), labelled_share=share)

    wanted = alone.train_step(batch(0, 65))
    slices = [batch(*bounds) for bounds in Share(range(2), 2).bounds(65)]
    assert float(slices[0].labelled_share) < 0.3 < float(slices[0].share)
    run = tf.function(lambda data: two.strategy.run(together.train_step, args=(data,)))
    found = run(replicas(two, slices.__getitem__))
    (loss, *_) = two.strategy.experimental_local_results(found["loss"])
    assert float(loss) == pytest.approx(float(wanted["loss"]), rel=1e-4)
    for weight, a, b in zip(alone.weights, together.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6, err_msg=weight.name)


def test_replicas_drop_different_elements(two):
    with two.strategy.scope():
        layer = Dropout(0.5, seed=3)
        layer.build([8, 8])
    run = tf.function(lambda: two.strategy.run(lambda: layer(tf.ones([8, 8]), training=True)))
    masks = [mask.numpy() for _ in range(2) for mask in two.strategy.experimental_local_results(run())]
    assert len({mask.tobytes() for mask in masks}) == 4


def test_each_row_is_given_once_an_epoch(prepared, two):
    batches = Batches(prepared, "train", 500, shuffle=True, oov_rate=0.1)
    elements = iter(two.dataset(batches, 2, None))
    for epoch in (2, 3):
        for integers, floats in batches.epoch(epoch):
            batch = next(elements)
            values = {name: two.strategy.experimental_local_results(value) for name, value in batch.features.items()}
            for name, value in batches.layout.fields(integers, floats).items():
                np.testing.assert_array_equal(np.concatenate(values[name]), value, err_msg=name)
            sizes = [len(part) for part in two.strategy.experimental_local_results(batch.labels)]
            assert max(sizes) - min(sizes) <= 1
            shares = np.array(two.strategy.experimental_local_results(batch.share))
            np.testing.assert_allclose(shares, np.array(sizes) / len(floats), rtol=1e-6)


_FLAGS = ["--model_name", "dssm", "--hidden_units", "32,16", "--embedding_dim", "8", "--batch_size", "512"]


def _config(tmp_path, *argv):
    flags = [*_FLAGS, "--output_dir", str(tmp_path / "runs"), "--dropout", "0", "--epoch", "2", *argv]
    return parse(flags, program="train.py", description="Train.")


@pytest.mark.slow
def test_two_replicas_interrupted_and_resumed_end_as_one_process(prepared, tmp_path, two, monkeypatch):
    alone = train(_config(tmp_path), prepared, lambda _: None)
    config = _config(tmp_path, "--strategy", "mirrored")
    save = CheckpointStore.save

    def save_and_die(store, progress):
        save(store, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(config, prepared, lambda _: None, two)
    monkeypatch.setattr(CheckpointStore, "save", save)
    said = []
    together = train(config, prepared, said.append, two)
    assert any("resuming after epoch 1" in line for line in said)
    assert together.folder != alone.folder
    assert (together.metrics["strategy"], together.metrics["replicas"]) == ("mirrored", 2)
    for part in ("validation", "test"):
        for name in ("auc", "logloss", "gauc"):
            assert together.metrics[part][name] == pytest.approx(alone.metrics[part][name], abs=1e-3), (part, name)


def test_the_strategy_counts_where_there_are_several_replicas():
    plain, mirrored = (parse(argv, program="x", description="x") for argv in ([], ["--strategy", "mirrored"]))
    assert plain.identity("data") == mirrored.identity("data", 1)
    assert len({mirrored.identity("data", count) for count in (1, 2, 3)}) == 3


def test_mirrored_on_one_device_says_so(monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: [tf.config.LogicalDevice("/CPU:0", "CPU")] * (kind == "CPU")
    )
    said = []
    assert connect(RunOptions(strategy="mirrored"), said.append).replicas == 1
    assert "only device" in said[0]


@pytest.mark.parametrize("name", ["gbdt", "target_means"])
def test_models_without_gradient_steps_are_refused(name):
    check_strategy(RunOptions(model_name=name))
    with pytest.raises(InputError, match=f"--strategy mirrored: {name}"):
        check_strategy(RunOptions(model_name=name, strategy="mirrored"))


def test_a_batch_has_a_row_for_every_replica(prepared, two):
    validation = Batches(prepared, "validation", 500)
    two.check_rows(Batches(prepared, "train", 3), validation)
    with pytest.raises(InputError, match="--batch_size"):
        two.check_rows(Batches(prepared, "train", 1), validation)
