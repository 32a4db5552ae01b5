import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import log_loss, roc_auc_score

from features import UNSEEN
from prerank.errors import InputError
from training import callbacks
from training.batches import Batches, read_columns
from training.callbacks import divergence, predict
from training.config import parse
from training.progress import CheckpointStore
from training.trainer import train

ROOT = Path(__file__).parents[2]
_SMALL = ["--hidden_units", "32,16", "--embedding_dim", "8", "--batch_size", "512"]


def _config(tmp_path, *argv):
    return parse(["--output_dir", str(tmp_path / "runs"), *_SMALL, *argv], program="train.py", description="Train.")


def _quiet(_):
    pass


@pytest.fixture(scope="module")
def hit(prepared, tmp_path_factory):
    """The configuration and the result of a training."""
    flags = ["--model_name", "hit", "--epoch", "2", "--random_seed", "5", "--save_predictions"]
    config = _config(tmp_path_factory.mktemp("hit"), *flags)
    return config, train(config, prepared, _quiet)


def test_run_folder_holds_what_is_promised(hit, prepared):
    config, result = hit
    place = config.run.output_dir / "movielens_generated" / "strict" / "hit"
    assert result.folder == place / config.identity(prepared.fingerprint)
    names = {path.name for path in result.folder.iterdir()}
    expected = {"config.yaml", "metrics.json", "history.csv", "tensorboard", "checkpoints", "predictions.parquet"}
    assert names == expected
    stored = json.loads((result.folder / "metrics.json").read_text())
    for name in ("test", "validation", "floor", "test_seen_users", "test_unseen_users"):
        assert 0 < stored[name]["logloss"] < 5
    assert stored["test_seen_users"]["rows"] + stored["test_unseen_users"]["rows"] == prepared.rows("test")
    assert stored["data_fingerprint"] == prepared.fingerprint
    assert stored["raw_data"] == prepared.raw_data
    assert stored["embedding_rows"] in ("compiled", "tensorflow")
    assert (stored["protocol"], stored["split"], stored["seed"], stored["leaks"]) == ("strict", "time", 5, [])
    assert stored["parameters"] == sum(np.prod(weight.shape) for weight in result.model.trainable_weights)
    assert yaml.safe_load((result.folder / "config.yaml").read_text())["model_name"] == "hit"
    assert len((result.folder / "history.csv").read_text().splitlines()) == 3
    assert pq.read_table(result.folder / "predictions.parquet").num_rows == prepared.rows("test")
    assert list((result.folder / "tensorboard").rglob("events.*"))
    _check_metrics(prepared, result, stored)
    with pytest.raises(InputError, match="--overwrite"):
        train(config, prepared, _quiet)


def _check_metrics(prepared, result, stored):
    """What is stored of the parts is what scikit-learn says of the predictions and the prepared rows."""
    table = pq.read_table(result.folder / "predictions.parquet").to_pydict()
    found = read_columns(prepared, "test", ["row", "group", "label", "user_id"])
    assert table["row"] == found["row"].tolist()
    assert table["group"] == found["group"].tolist()
    labels, logits, unseen = found["label"], np.array(table["logit"]), found["user_id"] == UNSEEN
    assert 0 < unseen.sum() < len(unseen) / 2
    for name, rows in (("test", slice(None)), ("test_seen_users", ~unseen), ("test_unseen_users", unseen)):
        assert stored[name]["rows"] == len(labels[rows])
        assert stored[name]["positives"] == labels[rows].sum()
        assert stored[name]["auc"] == pytest.approx(roc_auc_score(labels[rows], logits[rows]), abs=1e-9)
        loss = log_loss(labels[rows], 1 / (1 + np.exp(-logits[rows])), labels=[0, 1])
        assert stored[name]["logloss"] == pytest.approx(loss, rel=1e-6)
    labels = read_columns(prepared, "validation", ["label"])["label"]
    logits = predict(result.model, Batches(prepared, "validation", 500).dataset())
    history = [line.split(",") for line in (result.folder / "history.csv").read_text().splitlines()]
    best = dict(zip(history[0], map(float, history[stored["best_epoch"]]), strict=True))
    loss = log_loss(labels, 1 / (1 + np.exp(-logits.astype(np.float64))))
    assert best["epoch"] == stored["best_epoch"]
    assert best["val_auc"] == pytest.approx(roc_auc_score(labels, logits), abs=1e-5)
    assert best["val_logloss"] == pytest.approx(loss, rel=1e-4)
    assert stored["validation"]["logloss"] == pytest.approx(best["val_logloss"], rel=1e-5)


@pytest.mark.parametrize(
    ("aucs", "patience", "best", "epochs"),
    [([0.7, 0.7, 0.8, 0.8, 0.75], 9, 3, 5), ([0.6, 0.7, 0.7, 0.7, 0.8], 2, 2, 4)],
)
def test_the_first_of_equally_good_epochs_is_the_best(prepared, tmp_path, monkeypatch, aucs, patience, best, epochs):
    """And the patience counts from it."""
    given = iter(aucs)
    monkeypatch.setattr(callbacks.metrics, "auc", lambda *_: next(given, 0.5))
    flags = ["--epoch", str(len(aucs)), "--patience", str(patience), "--batch_size", "4096"]
    config = parse(
        ["--output_dir", str(tmp_path), "--model_name", "lr", *flags], program="train.py", description="Train."
    )
    metrics = train(config, prepared, _quiet).metrics
    assert (metrics["best_epoch"], metrics["epochs"]) == (best, epochs)


def test_best_weights_are_kept(prepared, tmp_path):
    config = _config(tmp_path, "--model_name", "dssm", "--epoch", "6", "--lr", "0.05", "--patience", "2")
    result = train(config, prepared, _quiet)
    rows = [line.split(",") for line in (result.folder / "history.csv").read_text().splitlines()]
    aucs = [float(row[rows[0].index("val_auc")]) for row in rows[1:]]
    assert result.metrics["best_epoch"] == int(np.argmax(aucs)) + 1
    assert result.metrics["validation"]["auc"] == pytest.approx(max(aucs), abs=1e-9)
    assert len(aucs) == min(6, result.metrics["best_epoch"] + 2)


def test_same_seed_same_result_other_seed_other_result(hit, prepared, tmp_path):
    def test_part(folder, seed):
        config = _config(tmp_path / folder, "--model_name", "hit", "--epoch", "2", "--random_seed", seed)
        return train(config, prepared, _quiet).metrics["test"]

    first = hit[1].metrics["test"]
    assert test_part("a", "5") == first
    assert test_part("b", "6") != first


def test_divergence_is_reported_and_kept(prepared, tmp_path):
    result = train(_config(tmp_path, "--model_name", "dssm", "--epoch", "2", "--lr", "1e30"), prepared, _quiet)
    stored = json.loads((result.folder / "metrics.json").read_text())
    assert result.diverged
    assert stored["status"] == "diverged"
    assert stored["reason"]
    assert "test" not in stored


def test_constant_predictions_are_divergence():
    assert divergence(np.zeros(10, np.float32)) == "predictions are constant"
    assert divergence(np.array([0.1, np.nan])) == "predictions are not finite"
    assert divergence(np.array([0.1, 0.2])) == ""


def test_target_means_needs_no_epochs(prepared, tmp_path):
    flags = ["--output_dir", str(tmp_path), "--model_name", "target_means"]
    result = train(parse(flags, program="train.py", description="Train."), prepared, _quiet)
    assert result.metrics["test"] == result.metrics["floor"]
    assert result.metrics["test"]["auc"] > 0.6


@pytest.mark.slow
def test_jit_changes_the_speed_alone(prepared, tmp_path):
    plain, jit = (
        train(_config(tmp_path, "--model_name", "hit", "--epoch", "1", *flags), prepared, _quiet).metrics["validation"]
        for flags in ([], ["--jit"])
    )
    assert jit["logloss"] == pytest.approx(plain["logloss"], abs=1e-3)
    assert jit["auc"] == pytest.approx(plain["auc"], abs=5e-3)


def test_mixed_precision_trains(hit, prepared, tmp_path):
    code = (
        "import sys; from pathlib import Path; import legacy_keras; from preprocess.prepared import PreparedData;"
        "from training.config import parse; from training import device; from training.trainer import train;"
        "config = parse(sys.argv[2:], program='x', description='x'); device.configure(config.run);"
        "result = train(config, PreparedData.open(Path(sys.argv[1])));"
        "assert {layer.compute_dtype for layer in result.model.submodules if hasattr(layer, 'hidden_units')}"
        " == {'bfloat16'}"
    )
    argv = [str(prepared.path), *_SMALL, "--epoch", "2", "--random_seed", "5", "--output_dir", str(tmp_path / "half")]
    argv += ["--mixed_precision"]
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    plain = hit[1].metrics["validation"]
    assert _stored_metrics(tmp_path, "half")["validation"]["logloss"] == pytest.approx(plain["logloss"], abs=0.02)


def _stored_metrics(folder, runs="runs"):
    (file,) = folder.glob(f"{runs}/**/metrics.json")
    return json.loads(file.read_text())


_KILLS_ITSELF = """
import os, signal, sys
import train_movielens_whole_models as script
from training.app import main
from training.callbacks import EpochEnd

def kill_in_the_third_epoch(callback, batch, logs=None):
    if callback._progress.epochs == 2 and batch == 5:
        os.kill(os.getpid(), signal.SIGKILL)

EpochEnd.on_train_batch_end = kill_in_the_third_epoch
main(script.SOURCE, sys.argv[1:])
"""


def test_killed_training_goes_on_to_the_same_metrics(sample_folder, prepared, tmp_path):
    places = ["--data_path", str(sample_folder), "--prepared_dir", str(prepared.path.parents[1])]
    flags = [*places, *_SMALL, "--model_name", "dssm", "--epoch", "4", "--patience", "9"]

    def command(folder, *program):
        return [sys.executable, *program, *flags, "--output_dir", str(folder / "runs")]

    script = str(ROOT / "train_movielens_whole_models.py")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, script), check=True, capture_output=True)
    done = subprocess.run(command(killed, "-c", _KILLS_ITSELF), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert not list(killed.glob("runs/**/metrics.json"))
    (file,) = killed.glob("runs/**/progress.json")
    assert json.loads(file.read_text())["epochs"] == 2
    again = subprocess.run(command(killed, script), check=True, capture_output=True, text=True)
    assert "resuming after epoch 2" in again.stdout
    first, second = _stored_metrics(whole), _stored_metrics(killed)
    for name in ("test", "validation", "best_epoch", "epochs"):
        assert first[name] == second[name]
    assert not list(killed.glob("runs/**/*.partial"))


def test_what_is_trained_beside_a_model_goes_on_where_a_killed_training_stopped(prepared, tmp_path, monkeypatch):
    flags = ["--model_name", "lr", "--epoch", "2", "--patience", "9", "--lr", "0.1", "--list_by", "user"]
    flags += ["--loss", "pairwise", "--list_item_bias"]
    config = [
        parse(["--output_dir", str(tmp_path / folder), *flags], program="train.py", description="Train.")
        for folder in ("whole", "parts", "without")
    ]
    whole = train(config[0], prepared, _quiet)
    assert _interrupted(config[1], prepared, monkeypatch, 1).metrics["test"] == whole.metrics["test"]
    without = train(config[2].replace(list_item_bias=False), prepared, _quiet)
    assert without.metrics["test"] != whole.metrics["test"]


def test_a_model_with_a_schedule_is_planned_recorded_and_not_stopped_early(prepared, tmp_path):
    config = _config(
        tmp_path, "--model_name", "fit", "--epoch", "7", "--anneal_epochs", "6", "--lr", "0.02", "--patience", "1"
    )
    result = train(config, prepared, _quiet)
    rows = [line.split(",") for line in (result.folder / "history.csv").read_text().splitlines()]
    aucs = [float(row[rows[0].index("val_auc")]) for row in rows[1:]]
    assert min(epoch for epoch in range(1, len(aucs)) if aucs[epoch] <= max(aucs[:epoch])) < 3, "it would have stopped"
    assert len(aucs) >= 4  # the temperature is 0.01 after two thirds of the planned steps
    assert {"query_similarity", "query_perplexity", "query_overlap"} <= set(rows[0])
    steps = -(-prepared.rows("train") // 512)
    assert int(result.model.meta_query.total_steps) == 6 * steps
    assert int(result.model.meta_query.step) == result.metrics["best_epoch"] * steps


def _interrupted(config, prepared, monkeypatch, times):
    """The result of a training that is interrupted after each of its first epochs."""
    save = CheckpointStore.save

    def save_and_die(store, progress):
        save(store, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "save", save_and_die)
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            train(config, prepared, _quiet)
    monkeypatch.setattr(CheckpointStore, "save", save)
    return train(config, prepared, _quiet)


@pytest.mark.slow
def test_a_schedule_goes_on_where_a_killed_training_stopped(prepared, tmp_path, monkeypatch):
    """Interrupted after each epoch, FIT ends with the same metrics."""
    flags = ["--model_name", "fit", "--epoch", "3", "--patience", "9"]
    whole = train(_config(tmp_path / "whole", *flags), prepared, _quiet)
    parts = _interrupted(_config(tmp_path / "parts", *flags), prepared, monkeypatch, 2)
    assert parts.metrics["test"] == whole.metrics["test"]
    assert int(parts.model.meta_query.step) == int(whole.model.meta_query.step)
