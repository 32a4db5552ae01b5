"""The id of a run: every option counts, but for those that change no result."""

import typing
from dataclasses import replace
from pathlib import Path

import pytest

import models
from preprocess.options import DataOptions
from training.config import parse
from training.options import RunOptions

HARMLESS = {
    # where results go, and what else is written
    "output_dir", "overwrite", "save_predictions", "export_dir", "export_format", "export_version", "export_examples",
    # where the data are and how they are prepared: what comes of it has a fingerprint of its own
    "data_path", "prepared_dir", "download", "prepare_only", "engine", "spark_master", "spark_scratch", "spark_conf",
    "state_from",
    # counts with more than one replica
    "strategy",
}  # fmt: skip


def config(name="dssm"):
    return parse(["--model_name", name], program="train.py", description="Train.")


def other(field, value):
    """Another value than `value` of an option's type, whether it is allowed or not."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        kind = typing.get_args(field.annotation)[0]
        return (*value, 3 if int in (kind, getattr(kind, "__origin__", None)) else "data")
    if isinstance(value, Path):
        return value / "elsewhere"
    if isinstance(value, str):
        return next((text for text in _texts(field.annotation) if text != value), value + "x")
    kind = next(kind for kind in typing.get_args(field.annotation) if kind is not type(None))
    if typing.get_origin(kind) is tuple:
        return ("history",)
    return next(iter(_texts(kind)), {int: 3, float: 0.25}.get(getattr(kind, "__origin__", kind), "elsewhere"))


def _texts(annotation):
    return [text for text in typing.get_args(annotation) if isinstance(text, str)]


def changed(whole, part, name):
    options = getattr(whole, part)
    value = other(type(options).model_fields[name], getattr(options, name))
    assert value != getattr(options, name)
    return replace(whole, **{part: options.model_copy(update={name: value})})


@pytest.mark.parametrize("name", sorted(set(RunOptions.model_fields) - {"model_name", "init_from", "fit_all"}))
def test_options_of_a_run(name):
    same = changed(config(), "run", name).identity("data") == config().identity("data")
    assert same == (name in HARMLESS)


def test_the_run_that_a_training_begins_from(monkeypatch):
    monkeypatch.setattr("training.config.identity_of", lambda folder, option: folder.name)
    whole = config()
    begun = [replace(whole, run=whole.run.model_copy(update={"init_from": Path(name)})) for name in ("a", "b")]
    assert len({each.identity("data") for each in (whole, *begun)}) == 3


def test_the_epochs_on_all_rows():
    argv = ["--model_name", "dssm", "--split", "none", "--fit_all"]
    found = [parse([*argv, epochs], program="train.py", description="Train.").identity("data") for epochs in "232"]
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("name", sorted(DataOptions.model_fields))
def test_options_of_the_data(name):
    same = changed(config(), "data", name).identity("data") == config().identity("data")
    assert same == (name in HARMLESS)


@pytest.mark.parametrize("model", models.names())
def test_options_of_a_model(model):
    whole = config(model)
    found = {name: changed(whole, "model", name).identity("data") for name in type(whole.model).model_fields}
    assert whole.identity("data") not in found.values()
    assert len(set(found.values())) == len(found)


def test_model_seed_data_and_replicas_count():
    plain = config().identity("data")
    assert config("hit").identity("data").split("-")[1] != plain.split("-")[1]
    assert config().identity("other") != plain
    assert config().identity("data", 2) != plain
    assert config().identity("data", 3) != config().identity("data", 2)
    mirrored = config().replace(strategy="mirrored")
    assert mirrored.identity("data", 2) != config().identity("data", 2)
