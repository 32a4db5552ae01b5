"""The popularity of items, and runs with `--entire_space`."""

import dataclasses
import json

import numpy as np
import pytest
import yaml
from conformance import small_options

from features import RESERVED, UNLABELLED, UNSEEN
from preprocess.options import DataOptions
from prerank.artefact import Artefact
from prerank.errors import InputError
from training import exposure, session
from training.batches import Batches, read_columns
from training.callbacks import predict
from training.config import Config, parse
from training.options import RunOptions
from training.trainer import finished, train

DAY = 86_400


def config(tmp_path, name="dssm", **run):
    options = {"model_name": name, "epoch": 1, "batch_size": 1024, "output_dir": tmp_path / "runs", **run}
    return Config(RunOptions(**options), DataOptions(), models_options(name))


def models_options(name):
    import models

    return models.get(name).options(**small_options(name))


@dataclasses.dataclass
class Data:
    """A training part of six rows, as far as popularity reads it."""

    spec: object


@pytest.fixture
def six_rows(prepared, monkeypatch):
    spec = prepared.spec
    fields = tuple(
        dataclasses.replace(field, vocabulary_size=6) if field.vocabulary == "movie_id" else field
        for field in spec.fields
    )
    columns = {
        "movie_id": np.array([2, 2, 2, 3, 4, 4]),
        "timestamp": DAY * np.array([0, 0, 10, 20, 0, 20]),
        "label": np.array([0, 1, 1, 0, 1, 0]),
        "weight": np.array([1, 1, 2, 0.5, 1, 1], np.float32),
    }
    monkeypatch.setattr(exposure, "read_columns", lambda data, part, names: {name: columns[name] for name in names})
    return Data(dataclasses.replace(spec, fields=fields)), columns


def test_popularity_is_the_share_of_rows_with_a_row_more_for_each_item(six_rows):
    prior = np.array([1, 1, 4, 2, 3, 1]) / 12
    expected = (np.array([0, 0, 3, 1, 2, 0]) + 6 * prior) / 12
    found = exposure.log_popularity(six_rows[0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-6)


def test_a_row_counts_half_after_the_half_life(six_rows):
    prior = np.array([1, 1, 4, 2, 3, 1]) / 12
    counts = np.array([0, 0, 0.25 + 0.25 + 0.5, 1, 0.25 + 1, 0])
    expected = (counts + 6 * prior) / (counts.sum() + 6)
    np.testing.assert_allclose(np.exp(exposure.log_popularity(six_rows[0], 10)), expected, rtol=1e-6)


def test_rows_count_their_weight_and_rows_without_a_label_nothing(six_rows):
    data, columns = six_rows
    columns["label"][4] = UNLABELLED
    weighted = Data(dataclasses.replace(data.spec, row_columns=("weight",)))
    counts = np.array([0, 0, 4, 0.5, 1, 0])
    expected = (counts + 6 * (counts + 1) / 11.5) / 11.5
    np.testing.assert_allclose(np.exp(exposure.log_popularity(weighted)), expected, rtol=1e-6)


def test_half_lives_of_any_size_give_finite_numbers(six_rows):
    for half_life in (1e-9, 1e9):
        assert np.isfinite(exposure.log_popularity(six_rows[0], half_life)).all()


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    """A finished run with the factorisation, and the same one without."""
    place = tmp_path_factory.mktemp("exposure")
    made = config(place, entire_space=True, exposure_half_life=100.0)
    return made, train(made, prepared, lambda _: None), train(config(place), prepared, lambda _: None)


def test_rated_rows_are_judged_by_the_preference(run, prepared):
    _, with_it, without = run
    for part in ("validation", "test"):
        for metric in ("auc", "logloss", "ece"):
            assert with_it.metrics[part][metric] == pytest.approx(without.metrics[part][metric], abs=1e-4)
    history = (with_it.folder / "history.csv").read_text().splitlines()
    assert "exposure" in history[0].split(",")
    assert with_it.metrics["parameters"] > without.metrics["parameters"]


def test_a_finished_run_is_read_back_with_its_popularity(run, prepared):
    made, result, _ = run
    again = finished(made, prepared)
    expected = exposure.log_popularity(prepared, 100.0)
    np.testing.assert_array_equal(again.model.exposure.log_popularity, expected)
    batches = Batches(prepared, "test", 8192)
    np.testing.assert_array_equal(predict(again.model, batches.dataset()), predict(result.model, batches.dataset()))
    written = yaml.safe_load((result.folder / "config.yaml").read_text())
    assert (written["entire_space"], written["exposure_half_life"]) == (True, 100.0)


def test_popularity_is_of_the_items_as_they_are_and_not_as_training_masks_them(prepared):
    found = exposure.log_popularity(prepared)
    items = read_columns(prepared, "train", ["movie_id"])["movie_id"]
    counts = np.bincount(items, minlength=len(found))
    assert counts[UNSEEN] == 0
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-4)
    assert found[UNSEEN] == found.min()
    assert np.argmax(found) == np.argmax(counts) >= RESERVED


def test_run_ids_of_other_runs_stay_and_its_own_differ(tmp_path):
    def identity(*argv):
        return parse(["--model_name", "dssm", *argv], program="t", description="T.").identity("data")

    ids = [
        identity(),
        identity("--entire_space"),
        identity("--entire_space", "--exposure_half_life", "5"),
        identity("--entire_space", "--exposure_weight", "0.5"),
    ]
    assert len(set(ids)) == 4
    assert ids[0] == "seed0-88eabcccc0"  # as it was before the option


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--exposure_half_life", "5"], "--exposure_half_life needs --entire_space"),
        (["--entire_space", "--exposure_half_life", "-1"], "--exposure_half_life"),
        (["--entire_space", "--exposure_weight", "0"], "--exposure_weight"),
    ],
)
def test_options_that_are_refused(argv, words):
    with pytest.raises(InputError, match=words):
        parse(argv, program="t", description="T.")


def test_a_model_that_cannot_have_it_is_refused_before_the_data_are_read(tmp_path):
    def unreached(*_):
        raise AssertionError

    with pytest.raises(InputError, match="--entire_space: .*gbdt"):
        session.run(config(tmp_path, "gbdt", entire_space=True), None, unreached, unreached)


def test_a_ranker_is_trained_exported_and_described(prepared, tmp_path):
    made = config(tmp_path, "cold", entire_space=True)
    place = tmp_path / "out"
    assert session.run(made, place, lambda: None, lambda _: prepared) == 0
    described = json.loads((place / "features.json").read_text())
    assert [task["name"] for task in described["tasks"]] == ["positive", "exposed"]
    assert not Artefact(place).decoupled
