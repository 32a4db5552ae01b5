"""What seeds, configurations and files have to give for every model."""

import json

import numpy as np
import pytest
from conformance import (
    ENTIRE_SPACE,
    WITHOUT_RANDOM_WEIGHTS,
    build,
    entry,
    every_differentiable_model,
    every_model,
    initial,
    small_options,
    total_loss,
)
from support import SPEC, random_batch, randomise

import models
from models import PreRankingModel
from training.config import parse
from training.optimizer import LazyAdam

# Seeds, configuration, files


@every_model
def test_weights_are_given_by_the_seed(name):
    first, same, other = (build(name, seed=seed) for seed in (1, 1, 2))
    differ = False
    for one, two, three in zip(first.weights, same.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)
        drawn = one.dtype.is_floating and one.numpy().size > 0 and np.ptp(one) > 0
        if drawn:  # not one of those that start at a constant
            assert not np.isclose(one, three).all(), one.name
            differ = True
    assert differ == (name not in WITHOUT_RANDOM_WEIGHTS)


@every_differentiable_model
def test_the_same_seed_trains_to_the_same_weights(name):
    trained = []
    for seed in (1, 1, 2):
        model = build(name, seed=seed)
        model.compile(optimizer=LazyAdam(0.01, embedding_l2=1e-5), run_eagerly=True)  # to trace takes longer
        for step in range(2):
            model.train_on_batch(*random_batch(SPEC, 64, seed=step))
        trained.append([weight.numpy() for weight in model.weights])
    for one, two in zip(*trained[:2], strict=True):
        np.testing.assert_array_equal(one, two)
    if name not in WITHOUT_RANDOM_WEIGHTS:
        assert any(not np.allclose(one, three) for one, three in zip(trained[0], trained[2], strict=True))


@every_model
def test_the_configuration_file_rebuilds_it(name, tmp_path):
    flags = [text for option, value in small_options(name).items() for text in (f"--{option}", _spelt(value))]
    flags += ["--entire_space"] if name in ENTIRE_SPACE else []
    config = parse(
        ["--model_name", entry(name).name, *flags, "--random_seed", "3"], program="train.py", description="Train."
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    again = parse(["--config", str(tmp_path / "config.yaml")], program="train.py", description="Train.")
    assert again == config
    first, second = (
        models.build(c.run.model_name, SPEC, c.model, c.run.random_seed, entire_space=c.run) for c in (config, again)
    )
    assert first.get_config() == second.get_config()
    for one, two in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def _spelt(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@every_model
def test_no_two_weights_start_equal(name):
    model = initial(name)
    values = [(weight.name, weight.numpy().ravel()) for weight in model.trainable_weights]
    values = [(weight, value) for weight, value in values if value.size > 1 and np.ptp(value) > 0]
    for place, (one, first) in enumerate(values):
        for other, second in values[place + 1 :]:
            size = min(first.size, second.size)
            assert not np.allclose(first[:size] / first[0], second[:size] / second[0]), f"{one} and {other}"


@every_differentiable_model
def test_dropout_masks_are_given_by_the_seed(name):
    inputs, labels = random_batch(SPEC, 64)
    losses = [float(total_loss(build(name, seed=seed, dropout=0.5), inputs, labels)) for seed in (1, 1)]
    assert losses[0] == losses[1]


@every_model
def test_its_configuration_rebuilds_it(name):
    model = build(name, seed=3)
    config = json.loads(json.dumps(model.get_config()))
    restored = type(model).from_config(config)
    restored.build_weights()
    assert restored.get_config() == model.get_config()
    assert restored.spec == model.spec
    assert restored.options == model.options
    for one, two in zip(model.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(one, two)


@every_differentiable_model
def test_saved_weights_give_the_same_logits(name, tmp_path):
    model, restored = build(name), build(name, seed=9)
    randomise(model)
    model.compile(optimizer=LazyAdam(), run_eagerly=True)
    inputs, labels = random_batch(SPEC, 16)
    model.train_on_batch(inputs, labels)
    assert len(restored.weights) == len(model.weights), "what counts the loss is no weight"
    model.save_weights(str(tmp_path / "model.weights.h5"))
    restored.load_weights(str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(restored(inputs, training=False), model(inputs, training=False))


@every_model
def test_it_names_no_column_of_a_data_set(name):
    """The same model is built for fields of other names."""
    renamed = json.loads(
        json.dumps(SPEC.to_dict())
        .replace("user_mean_rating", "mean_u")
        .replace("item_mean_rating", "mean_i")
        .replace("user_id", "reader")
        .replace('"movie_id"', '"book"')
        .replace("user_hist", "books")
        .replace('"genres"', '"shelf"')
        .replace('"gender"', '"country"')
    )
    # the keys of the specification itself keep their names
    renamed = {key.replace("reader", "user_id"): value for key, value in renamed.items()}
    spec = type(SPEC).from_dict(renamed)
    model = build(name, spec=spec)
    inputs, _ = random_batch(spec, 4)
    assert isinstance(model, PreRankingModel)
    assert model(inputs, training=False).shape == (4,)


# What Keras is told


@every_differentiable_model
def test_the_logs_are_means_of_the_terms_since_the_last_reset(name):
    model = build(name)
    model.compile(optimizer=LazyAdam(0.0), run_eagerly=True)
    batches = [random_batch(SPEC, 16, seed) for seed in range(3)]
    twin = build(name)
    expected = [float(total_loss(twin, *batch)) for batch in batches]
    model.reset_metrics()
    found = [model.train_on_batch(*batch, return_dict=True, reset_metrics=False) for batch in batches]
    for place, logs in enumerate(found):
        assert logs["loss"] == pytest.approx(np.mean(expected[: place + 1]), rel=1e-4)
        assert sum(value for term, value in logs.items() if term != "loss") == pytest.approx(logs["loss"], rel=1e-5)
    model.reset_metrics()
    assert {metric.name for metric in model.metrics} == set(found[0])
    assert all(float(metric.result()) == 0 for metric in model.metrics)
