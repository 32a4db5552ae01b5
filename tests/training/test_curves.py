"""What TensorBoard reads of a run: read back from its event files."""

import csv
import json

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from training.config import parse
from training.trainer import train

_SMALL = ["--hidden_units", "16,8", "--embedding_dim", "4", "--batch_size", "2048"]


def _events(folder):
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def _scalars(folder):
    """The values of each tag, by step."""
    found = _events(folder)
    return {
        tag: {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)}
        for tag in found.Tags()["tensors"]
        if found.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def _options(folder):
    content = _events(folder).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    read = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in read.hparams.items()}


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    argv = ["--output_dir", str(folder / "runs"), *_SMALL, "--model_name", "dssm", "--epoch", "2", "--lr", "0.02"]
    return train(parse(argv, program="train.py", description="Train."), prepared, lambda _: None)


def test_both_parts_have_curves_of_the_same_quantity(run):
    history = list(csv.DictReader((run.folder / "history.csv").open()))
    of_train, of_validation = (_scalars(run.folder / "tensorboard" / part) for part in ("train", "validation"))
    assert set(of_validation) == {"epoch_auc", "epoch_logloss"}
    for found, tag, column in (
        (of_train, "epoch_loss", "loss"),
        (of_train, "epoch_logloss", "cross_entropy"),
        (of_validation, "epoch_logloss", "val_logloss"),
        (of_validation, "epoch_auc", "val_auc"),
    ):
        expected = {epoch: pytest.approx(float(row[column]), rel=1e-6) for epoch, row in enumerate(history)}
        assert found[tag] == expected, (tag, column)


def test_the_options_and_the_result_of_the_test_part_are_there(run):
    stored = json.loads((run.folder / "metrics.json").read_text())
    found = _scalars(run.folder / "tensorboard")
    step = stored["best_epoch"]
    for name in ("auc", "logloss", "gauc", "gauc_users_left_out"):
        assert found[f"test_{name}"] == {step: pytest.approx(stored["test"][name], rel=1e-6)}
    options = _options(run.folder / "tensorboard")
    assert options["model_name"] == "dssm"
    assert options["lr"] == 0.02
    assert options["batch_size"] == 2048
    assert options["protocol"] == "strict"
    assert options["hidden_units"] == "[16, 8]"
    assert not {"output_dir", "data_path", "prepared_dir"} & set(options)


def test_a_model_that_is_fitted_directly_has_its_result_too(prepared, tmp_path):
    argv = ["--output_dir", str(tmp_path / "runs"), "--model_name", "target_means"]
    run = train(parse(argv, program="train.py", description="Train."), prepared, lambda _: None)
    found = _scalars(run.folder / "tensorboard")
    assert found["test_auc"] == {1: pytest.approx(run.metrics["test"]["auc"], rel=1e-6)}
