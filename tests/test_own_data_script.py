"""The example of docs/own-data.md as a user runs it, and what the script says without its flags."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import tensorflow as tf

import train_whole_models as script
from training.app import main

DOC = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text("utf-8")
_SMALL = ["--hidden_units", "16,8", "--embedding_dim", "4", "--epoch", "1", "--batch_size", "512"]


def block(language):
    return re.search(rf"```{language}\n(.*?)```", DOC, re.DOTALL)[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("model", ["target_means", pytest.param("hit", marks=pytest.mark.slow)])
def test_the_documented_example(here, capsys, model):
    exec(block("python"), {})
    (here / "shop.yaml").write_text(block("yaml"))
    command = shlex.split(block("sh"))
    assert command[:2] == ["python", "train_whole_models.py"]
    more = [*_SMALL, "--model_name", model] if model == "hit" else ["--model_name", model]
    assert main(script.SOURCE, [*command[2:], *more]) == 0
    assert f"{model} on shop, protocol strict: finished" in capsys.readouterr().out
    served = tf.saved_model.load(str(here / "out" / "shop")).signatures["serving_default"]
    names = "customer country interests device product brand price bought_before customer_mean product_mean"
    assert set(served.structured_input_signature[1]) == set(names.split())


@pytest.mark.parametrize("model", ["target_means", pytest.param("dssm", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("recflow", {"requests": 150, "users": 12, "items": 200}), ("kuairec", {"users": 40, "items": 60, "rows": 50})],
)
def test_a_data_set_whose_layout_is_known(here, capsys, model, name, sizes):
    importlib.import_module(f"preprocess.generate.{name}").generate(here / "raw", **sizes)
    more = [] if model == "target_means" else _SMALL
    assert main(script.SOURCE, ["--dataset", name, "--data_path", "raw", "--model_name", model, *more]) == 0
    assert re.search(rf"{model} on {name}\w*_generated, protocol strict: finished", capsys.readouterr().out)


def test_the_tables_of_keys_are_complete():
    from preprocess.schema import FieldSchema, PositionSchema, Schema

    keys = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", DOC, re.MULTILINE)
    documented = {name for cell in keys for name in re.findall(r"\w+", cell)}
    assert documented == {*Schema.model_fields, *FieldSchema.model_fields, *PositionSchema.model_fields}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--data_path is needed: a Parquet or csv file"),
        (["--data_path", "x.csv"], "--schema is needed: a YAML file"),
        (["--data_path", "x.csv", "--schema", "none.yaml"], "none.yaml: --schema: cannot be read"),
        (["--data_path", "x.csv", "--download"], "--download: your own data cannot be downloaded"),
    ],
)
def test_what_is_missing_is_named(here, capsys, flags, message):
    assert main(script.SOURCE, ["--model_name", "target_means", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(here.iterdir()) == []
