"""Training on all rows, for as many epochs as were best in an evaluated run."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import train_movielens_whole_models as script
from features import RESERVED
from layers import FieldEmbedding
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank import description
from prerank.errors import InputError
from training import metrics
from training.app import main
from training.batches import read_columns
from training.config import parse
from training.item_states import NEVER, ItemStates
from training.trainer import train

SMALL = ["--model_name", "dssm", "--hidden_units", "16,8", "--embedding_dim", "4", "--batch_size", "512"]


def config(folder, *argv):
    flags = ["--output_dir", str(folder / "runs"), "--prepared_dir", str(folder / "prepared"), *SMALL, *argv]
    return parse(flags, program="train.py", description="Train.")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fit_all")


@pytest.fixture(scope="module")
def data(sample_folder, place):
    """The sample with its newest rows held out, and without."""

    def made(**options):
        given = DataOptions(data_path=sample_folder, prepared_dir=place / "prepared", **options)
        return prepare(ADAPTER, given, lambda _: None)

    return made(), made(split="none")


@pytest.fixture(scope="module")
def evaluated(data, place):
    return train(config(place, "--epoch", "2"), data[0], lambda _: None)


@pytest.fixture(scope="module")
def on_all(data, place, evaluated):
    argv = ["--epoch", "2", "--split", "none", "--fit_all", str(evaluated.folder)]
    return train(config(place, *argv), data[1], lambda _: None)


def keyed(prepared, *parts):
    """By row, the history as raw ids."""
    spec, found = prepared.spec, {}
    names = prepared.vocabulary(spec[spec.history].vocabulary)
    for part in parts:
        for path in prepared.parts(part):
            table = pq.read_table(path, columns=["row", spec.history])
            for row, ids in zip(table["row"].to_pylist(), table[spec.history].to_pylist(), strict=True):
                found[row] = [int(names[place - RESERVED]) for place in ids if place >= RESERVED]
    return found


def test_all_rows_are_of_the_training_part_and_know_what_they_knew(data):
    held_out, whole = data
    assert [whole.rows(part) for part in ("train", "validation", "test")] == [
        sum(held_out.rows(part) for part in ("train", "validation", "test")),
        0,
        0,
    ]
    time = whole.spec.beside("timestamp")
    assert read_columns(whole, "train", [time])[time].max() == read_columns(held_out, "test", [time])[time].max()
    history = keyed(held_out, "train", "validation", "test")
    known = set(held_out.vocabulary(held_out.spec[held_out.spec.history].vocabulary).tolist())
    for row, ids in keyed(whole, "train").items():
        assert [one for one in ids if one in known] == history[row]
    user = whole.spec.user_id
    assert set(whole.vocabulary(user).tolist()) > set(held_out.vocabulary(user).tolist())


def test_candidates_are_drawn_from_the_items_of_all_rows(data):
    first = ItemStates(data[1]).first
    column = data[1].spec.beside("item_group")
    assert len(first) == read_columns(data[1], "train", [column])[column].max() + 1
    assert (first < NEVER).all()


def test_the_newest_rows_train_the_model(data, evaluated, on_all):
    stored = json.loads((on_all.folder / "metrics.json").read_text())
    assert stored["fitted_on"] == "all"
    assert stored["split"] == "none"
    assert evaluated.metrics["fitted_on"] == "train"
    assert not {"validation", "test", "floor", "test_seen_users", "calibration"} & set(stored)
    assert stored["epochs"] == stored["best_epoch"] == evaluated.metrics["best_epoch"]
    with (on_all.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == stored["epochs"]
    assert not any(name.startswith("val_") for name in rows[0])
    user = data[1].spec.user_id
    new = set(data[1].vocabulary(user).tolist()) - set(data[0].vocabulary(user).tolist())
    places = [place for place, value in enumerate(data[1].vocabulary(user).tolist(), RESERVED) if value in new]
    assert len(places) > 10
    (layer,) = [layer for layer in on_all.model.submodules if isinstance(layer, FieldEmbedding)]
    start = dict(zip(layer.rows, np.cumsum([0, *layer.rows.values()]), strict=False))[data[1].spec[user].vocabulary]
    fresh = type(on_all.model).from_config(on_all.model.get_config())
    fresh.build_weights()
    (before,) = [layer for layer in fresh.submodules if isinstance(layer, FieldEmbedding)]
    moved = np.abs(layer.table.numpy() - before.table.numpy()).max(axis=1)
    assert (moved[start + np.array(places)] > 0).all()


def test_the_number_of_epochs_and_the_run_that_names_it_are_one_run(data, place, evaluated, on_all):
    argv = ["--epoch", "2", "--split", "none", "--fit_all", str(evaluated.metrics["best_epoch"])]
    with pytest.raises(InputError, match="this run is finished"):
        train(config(place, *argv), data[1], lambda _: None)
    with pytest.raises(InputError, match="--fit_all: that run was trained on all rows"):
        train(config(place, "--split", "none", "--fit_all", str(on_all.folder)), data[1], lambda _: None)


def test_a_diverged_training_says_so(data, place):
    argv = ["--split", "none", "--fit_all", "1", "--lr", "1e30"]
    result = train(config(place, *argv), data[1], lambda _: None)
    assert result.diverged


def test_the_export_says_which_it_was(sample_folder, place, data, evaluated, on_all, capsys, monkeypatch):
    """The finished run is exported; nothing is trained, and the held-out rows that lie beside others are not there."""
    monkeypatch.setattr(metrics, "evaluate", None)
    argv = ["--data_path", str(sample_folder), "--export_dir", str(place / "out"), "--export_format", "onnx"]
    run = [*argv, "--epoch", "2", "--split", "none", "--fit_all", str(evaluated.folder)]
    whole = ["--output_dir", str(place / "runs"), "--prepared_dir", str(place / "prepared"), *SMALL, *run]
    assert main(script.SOURCE, whole) == 0
    said = capsys.readouterr().out
    assert "this run is finished, so nothing is trained" in said
    assert f"trained on all {data[1].rows('train'):,} rows" in said
    assert "auc" not in said
    assert description.read(place / "out")["fitted_on"] == "all"
    assert json.loads((place / "out" / "metrics.json").read_text())["fitted_on"] == "all"
    assert not (place / "out" / "examples.parquet").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--split", "none"], "--split none needs --fit_all EPOCHS"),
        (["--fit_all", "2"], "--fit_all trains on all rows, so it needs --split none"),
        (["--split", "none", "--fit_all", "0"], "--fit_all"),
        (["--split", "none", "--fit_all", "9", "--epoch", "8"], "--fit_all 9 is more than --epoch 8"),
        (["--split", "none", "--fit_all", "2", "--calibrate", "isotonic"], "--calibrate has none to measure on"),
        (["--split", "none", "--fit_all", "2", "--test_share", "0.1"], "--split none leaves all rows for training"),
        (["--split", "none", "--fit_all", "2", "--protocol", "reference"], "reference allows --split random"),
    ],
)
def test_what_contradicts_itself_is_named(tmp_path, argv, message):
    with pytest.raises(InputError, match=message):
        config(tmp_path, *argv)


def test_what_is_no_run_is_named(data, place, tmp_path):
    with pytest.raises(InputError, match="--fit_all: expected the folder of a finished run"):
        train(config(place, "--split", "none", "--fit_all", str(tmp_path)), data[1], lambda _: None)
    several = ["--split", "none", "--fit_all", "2", "--model_name", "target_means"]
    flags = ["--output_dir", str(tmp_path), *several]
    with pytest.raises(InputError, match="not trained by gradient steps, so it has no epochs: expected 1"):
        train(parse(flags, program="train.py", description="Train."), data[1], lambda _: None)
