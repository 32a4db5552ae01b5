"""Labels that mean nothing must stay unpredictable: whatever predicts them is a leak."""

import shutil

import numpy as np
import pytest
from leaks import derived, regression_aucs

from preprocess.generate.movielens import generate
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from training.config import parse
from training.trainer import train

pytestmark = pytest.mark.slow

_ROWS = 240_000
_FEWEST_OF_A_CLASS = 7_000
_STRICT = [
    {"split": "time"},
    {"split": "time", "state": "frozen"},
    {"split": "user_time"},
    {"split": "random"},
]


@pytest.fixture(scope="module")
def permuted(tmp_path_factory):
    """A whole generated data set whose ratings were permuted over all rows."""
    folder = tmp_path_factory.mktemp("leaks") / "raw"
    generate(folder, rows=_ROWS, seed=3)
    lines = (folder / "ratings.dat").read_text("latin-1").splitlines()
    fields = np.array([line.split("::") for line in lines])
    fields[:, 2] = np.random.default_rng(0).permutation(fields[:, 2])
    (folder / "ratings.dat").write_text("".join("::".join(row) + "\n" for row in fields), "latin-1")
    yield folder
    shutil.rmtree(folder.parent)


def _prepared(permuted, **options):
    options = DataOptions(data_path=permuted, prepared_dir=permuted.parent / "prepared", **options)
    return prepare(ADAPTER, options, lambda _: None)


def _model_auc(prepared, name, protocol, tmp_path):
    flags = ["--model_name", name, "--output_dir", str(tmp_path), "--epoch", "2", "--batch_size", "1024"]
    flags += ["--hidden_units", "64,32", "--embedding_dim", "16", "--lr", "0.003"] if name == "hit" else []
    config = parse([*flags, "--protocol", protocol], program="train.py", description="Train.")
    return train(config, prepared, lambda _: None).metrics["test"]["auc"]


@pytest.mark.parametrize("options", _STRICT, ids=lambda options: "-".join(options.values()))
def test_strict_leaves_nothing_to_predict(permuted, tmp_path, options):
    prepared = _prepared(permuted, **options)
    labels = derived(prepared, "test")[1]
    assert min(labels.sum(), len(labels) - labels.sum()) >= _FEWEST_OF_A_CLASS
    on_train, on_test = regression_aucs(prepared)
    assert on_train <= 0.52
    assert on_test == pytest.approx(0.5, abs=0.02)
    assert _model_auc(prepared, "target_means", "strict", tmp_path) == pytest.approx(0.5, abs=0.02)
    assert _model_auc(prepared, "hit", "strict", tmp_path) == pytest.approx(0.5, abs=0.02)


def test_reference_predicts_labels_that_mean_nothing(permuted, tmp_path):
    prepared = _prepared(permuted, protocol="reference")
    aucs = {name: _model_auc(prepared, name, "reference", tmp_path) for name in ("target_means", "hit")}
    aucs["regression on means and history"] = regression_aucs(prepared)[1]
    print(f"reference, ratings permuted: {aucs}")
    assert aucs["target_means"] > 0.58
    assert aucs["hit"] > 0.58
    assert aucs["regression on means and history"] > 0.75


@pytest.mark.parametrize("split", ["time", "user_time", "random"])
def test_each_label_leak_shows_alone(permuted, tmp_path, split):
    target_mean = _prepared(permuted, split=split, leak=("target_mean",))
    assert _model_auc(target_mean, "target_means", "strict", tmp_path) > 0.55
    history = _prepared(permuted, split=split, leak=("history",))
    assert regression_aucs(history)[1] > 0.75
