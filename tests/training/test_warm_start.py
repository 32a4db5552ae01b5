"""Training that begins with an earlier run's weights: rows of known ids move, new ids begin anew, scaling stays."""

import csv

import numpy as np
import pytest

import models
from features import RESERVED
from layers import FieldEmbedding
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training import warm_start
from training.config import parse
from training.optimizer import LazyAdam
from training.trainer import train


def config(folder, *argv):
    small = ["--hidden_units", "16,8", "--embedding_dim", "4", "--batch_size", "512"]
    flags = ["--output_dir", str(folder / "runs"), "--model_name", "dssm", "--epoch", "2", *small, *argv]
    return parse([*flags, "--prepared_dir", str(folder / "prepared")], program="train.py", description="Train.")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("warm")


@pytest.fixture(scope="module")
def data(sample_folder, place):
    """The data of some users, and of all."""

    def made(rate):
        options = DataOptions(data_path=sample_folder, prepared_dir=place / "prepared", sample_rate=rate)
        return prepare(ADAPTER, options, lambda _: None)

    return made(0.6), made(1.0)


@pytest.fixture(scope="module")
def first(data, place):
    return train(config(place, "--sample_rate", "0.6"), data[0], lambda _: None)


def table(model):
    """Embeddings by vocabulary and index."""
    (layer,) = [layer for layer in model.submodules if isinstance(layer, FieldEmbedding)]
    starts = np.cumsum([0, *layer.rows.values()])
    return {name: layer.table.numpy()[a:b] for name, a, b in zip(layer.rows, starts, starts[1:], strict=False)}


def test_known_ids_keep_their_rows_and_new_ones_are_fresh(data, first, place):
    run = config(place, "--init_from", str(first.folder))
    everyone = warm_start.scaled_as_before(data[1], run.run)
    fresh = models.build("dssm", everyone.spec, run.model, seed=0)
    begun = models.build("dssm", everyone.spec, run.model, seed=0)
    warm_start.Beginning.open(begun, everyone, run.run).give_weights(begun)
    before, new, now = table(first.model), table(fresh), table(begun)
    counts = {"known": 0, "new": 0}
    for name in now:
        np.testing.assert_array_equal(now[name][:RESERVED], before[name][:RESERVED])
        places = {value: place for place, value in enumerate(data[0].vocabulary(name).tolist(), RESERVED)}
        for place_now, value in enumerate(everyone.vocabulary(name).tolist(), RESERVED):
            known = value in places
            counts["known" if known else "new"] += 1
            expected = before[name][places[value]] if known else new[name][place_now]
            np.testing.assert_array_equal(now[name][place_now], expected)
    assert min(counts.values()) > 50
    others = [
        (old, weight)
        for old, weight in zip(first.model.weights, begun.weights, strict=True)
        if old.shape == weight.shape and "table" not in weight.name
    ]
    assert len(others) > 5
    for old, weight in others:
        np.testing.assert_array_equal(old.numpy(), weight.numpy())


def test_numbers_are_scaled_as_in_the_earlier_run(data, first, place):
    everyone = warm_start.scaled_as_before(data[1], config(place, "--init_from", str(first.folder)).run)
    numbers = [field for field in data[0].spec.fields if field.kind == "dense"]
    assert numbers
    for field in numbers:
        assert (everyone.spec[field.name].mean, everyone.spec[field.name].scale) == (field.mean, field.scale)
    assert any(data[1].spec[field.name].mean != field.mean for field in numbers)


def test_a_run_begins_where_the_earlier_one_ended(data, first, place):
    def first_epoch(*argv):
        result = train(config(place, "--epoch", "1", *argv), data[1], lambda _: None)
        with (result.folder / "history.csv").open() as file:
            return result, float(next(csv.DictReader(file))["val_auc"])

    cold, auc_of_cold = first_epoch()
    warm, auc_of_warm = first_epoch("--init_from", str(first.folder))
    assert warm.folder != cold.folder
    assert auc_of_warm > auc_of_cold
    # a third run begins with weights that know the first one's scaling
    third = warm_start.scaled_as_before(data[1], config(place, "--init_from", str(warm.folder)).run)
    for field in data[0].spec.fields:
        if field.kind == "dense":
            assert (third.spec[field.name].mean, third.spec[field.name].scale) == (field.mean, field.scale)


def test_the_optimizer_goes_on_where_the_run_kept_its_moments(data, place):
    """Of known ids the moments of the last epoch, of new ones 0, and Adam counts its steps on."""
    saving = config(place, "--sample_rate", "0.6", "--save_state", "all", "--epoch", "1")
    first = train(saving, data[0], lambda _: None)
    kept = np.load(first.folder / "checkpoints" / "optimizer.npz")
    steps = -(-data[0].rows("train") // 512)
    assert kept["iterations"] == steps
    run = config(place, "--init_from", str(first.folder))
    everyone = warm_start.scaled_as_before(data[1], run.run)
    model = models.build("dssm", everyone.spec, run.model, seed=0)
    beginning = warm_start.Beginning.open(model, everyone, run.run)
    beginning.give_weights(model)
    optimizer = LazyAdam(1e-3)
    optimizer.build(model.trained_variables)
    beginning.give_moments(model, optimizer)
    assert int(optimizer.iterations) == steps
    place_of = [id(weight) for weight in model.trainable_weights]
    (layer,) = [layer for layer in model.submodules if isinstance(layer, FieldEmbedding)]
    number = place_of.index(id(layer.table))
    for moments, name in zip(optimizer.moments, "mv", strict=True):
        before, now = kept[f"{name}_{number}"], moments[number].numpy()
        assert np.abs(before).max() > 0
        start_before = start_now = 0
        old_rows = {field.vocabulary: field.vocabulary_size for field in data[0].spec.fields if field.vocabulary}
        for vocabulary, size in layer.rows.items():
            places = {value: place for place, value in enumerate(data[0].vocabulary(vocabulary).tolist(), RESERVED)}
            for index, value in enumerate(data[1].vocabulary(vocabulary).tolist(), RESERVED):
                expected = before[start_before + places[value]] if value in places else np.zeros(before.shape[1])
                np.testing.assert_array_equal(now[start_now + index], expected)
            start_before, start_now = start_before + old_rows[vocabulary], start_now + size
        for other, weight in enumerate(model.trainable_weights):
            if other != number:
                np.testing.assert_array_equal(moments[other].numpy(), kept[f"{name}_{other}"], err_msg=weight.name)


def test_what_does_not_fit_is_named(data, first, place, tmp_path):
    for argv, message in (
        (["--init_from", str(tmp_path)], "--init_from: expected the folder of a finished run"),
        (
            ["--init_from", str(first.folder), "--model_name", "int_tower"],
            "--init_from: expected a run of int_tower. Received: one",
        ),
        (["--init_from", str(first.folder), "--embedding_dim", "8"], "--init_from: .* another shape"),
    ):
        with pytest.raises(InputError, match=message):
            train(config(place, "--overwrite", *argv), data[1], lambda _: None)
