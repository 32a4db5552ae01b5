"""Permutation importance: a planted leak comes first, noise and a constant lose nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from training.batches import Batches
from training.config import parse
from training.importance import importance, suspects
from training.rated import Rated
from training.trainer import train

ROOT = Path(__file__).parents[2]
FIELDS = {
    "user": {"side": "user", "type": "int64"}, "item": {"side": "item", "type": "int64"},
    "paid": {"side": "user"}, "noise": {"side": "user"}, "same": {"side": "user"},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on rows of which `paid` tells the label nearly always, and which like half of the items."""
    folder = tmp_path_factory.mktemp("importance")
    random, count = np.random.default_rng(0), 6000
    item = random.integers(0, 40, count)
    label = (random.random(count) < np.where(item < 20, 0.6, 0.2)).astype(int)
    paid = np.where(random.random(count) < 0.95, label, 1 - label)
    columns = {
        "user": random.integers(0, 50, count), "item": item, "paid": np.where(paid, "yes", "no"),
        "noise": random.choice(["a", "b", "c"], count), "same": "x", "label": label, "at": np.arange(count) * 60,
    }  # fmt: skip
    pd.DataFrame(columns).to_parquet(folder / "rows.parquet")
    schema = {
        "dataset": "logs", "user_id": "user", "item_id": "item", "label": "label", "time": "at", "fields": FIELDS,
        "context": ["paid", "noise", "same"],
    }  # fmt: skip
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema))
    flags = ["--schema", str(folder / "schema.yaml"), "--data_path", str(folder / "rows.parquet")]
    flags += ["--prepared_dir", str(folder / "prepared"), "--output_dir", str(folder / "runs"), "--model_name", "lr"]
    flags += ["--epoch", "4", "--lr", "0.02", "--batch_size", "256"]
    config = parse(flags, program="", description="", data_options=OwnDataOptions)
    data = prepare(NoSchema(), config.data, lambda _: None)
    return train(config, data, lambda _: None), data


def test_a_leak_comes_first_and_noise_loses_nothing(run):
    result, data = run
    found = importance(result.model, data, repeats=2)
    losses = {name: one["loss"] for name, one in found["fields"].items()}
    assert list(losses)[:2] == ["paid", "item"]
    assert losses["paid"] > 0.2 > losses["item"] > 0.005
    assert losses["same"] == 0
    assert abs(losses["noise"]) < 0.005
    assert suspects(found) == ["paid"]
    assert found["auc"] == pytest.approx(result.metrics["validation"]["auc"], abs=1e-6)
    assert found["rows"] == data.rows("validation")


def test_the_loss_is_that_of_shuffled_values(run):
    """What remains without a field, by hand: the mean over many shuffles is the AUC of pairs of independent rows."""
    result, data = run
    columns = Batches(data, "validation", 4096).columns([field.name for field in data.spec.fields])
    labels = Rated.read(data, "validation").labels
    model = result.model
    of_paid = {index: model.preference({n: v[:1] for n, v in columns.items()} | {"paid": np.array([index])})
               for index in np.unique(columns["paid"])}  # fmt: skip
    base = model.preference(columns | {"paid": np.full(len(labels), min(of_paid))}).numpy()
    shift = float((of_paid[max(of_paid)] - of_paid[min(of_paid)])[0])
    share = (columns["paid"] == max(of_paid)).mean()
    random = np.random.default_rng(5)
    aucs = [roc_auc_score(labels, base + shift * (random.random(len(labels)) < share)) for _ in range(200)]
    found = importance(model, data, repeats=20)
    assert found["auc"] - found["fields"]["paid"]["loss"] == pytest.approx(np.mean(aucs), abs=0.01)


def test_the_command(run):
    result, _ = run
    command = [sys.executable, "-m", "training.importance", str(result.folder), "--repeats", "1", "--rows", "300"]
    done = subprocess.run([*command, "--format", "json"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], next(iter(found["fields"]))) == (300, "paid")
    lost = subprocess.run([*command[:3], str(result.folder.parent)], cwd=ROOT, capture_output=True, text=True)
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)
    assert "RUN: expected the folder of a finished run" in lost.stderr
