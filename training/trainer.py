"""One trainer for all models: from a configuration and prepared data to a finished run's folder."""

import csv
import importlib.metadata
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

import models
from errors import InputError
from features import UNSEEN
from models import PreRankingModel
from preprocess.batches import Batches, read_columns
from preprocess.prepared import PreparedData
from training import metrics
from training.callbacks import EpochEnd, predict
from training.config import Config
from training.optimizer import LazyAdam
from training.options import RunOptions
from training.progress import CheckpointStore, Progress, keep_weights_only
from training.run_folder import RunFolder, to_json

_EVALUATION_BATCH = 8192
_DEFAULT_OOV_RATE = 0.05
_PACKAGES = ("tensorflow", "tf-keras", "deepctr", "numpy", "scikit-learn")

Report = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
        metrics: what its `metrics.json` holds.
        model: the model with the weights of its best epoch.
    """

    folder: Path
    metrics: dict[str, Any]
    model: PreRankingModel

    @property
    def diverged(self) -> bool:
        """Whether training diverged."""
        return self.metrics["status"] == "diverged"


def train(config: Config, data: PreparedData, report: Report = print) -> RunResult:
    """Train, evaluate and record one run; goes on with an interrupted run of the same configuration.

    Args:
        config: the run's configuration.
        data: the prepared data set.
        report: takes lines meant for the user.

    Raises:
        InputError: the run is finished already, another process is at it, a model lacks a field it needs, or a part
            holds one class alone.
    """
    _check_classes(data)
    folder = _folder(config, data)
    with folder.open(config.run.overwrite):
        tf.keras.utils.set_random_seed(config.run.random_seed)
        model = _build(config, data)
        folder.write_text("config.yaml", config.to_yaml())
        started = time.perf_counter()
        progress = _fit(config, data, model, folder, report)
        results = _describe(config, data, model, progress, folder.final.name)
        results["seconds"] = time.perf_counter() - started
        if not progress.diverged:
            report("evaluating on the test part")
            results |= _evaluate(config, data, model, folder)
        folder.write_text("metrics.json", to_json(results))
        folder.write_text("history.csv", _history_csv(progress))
        keep_weights_only(folder.checkpoints, model)
        folder.finish()
    return RunResult(folder.final, results, model)


def finished(config: Config, data: PreparedData) -> RunResult | None:
    """The finished run of a configuration, with the model as it was trained; None if there is none.

    Raises:
        InputError: its files are missing or damaged.
    """
    folder = _folder(config, data)
    if not folder.final.exists():
        return None
    model = _build(config, data)
    try:
        results = json.loads((folder.final / "metrics.json").read_text(encoding="utf-8"))
        model.load_trained(folder.final / folder.checkpoints.name)
    except (OSError, ValueError) as error:
        raise InputError(f"a finished run cannot be read: {error}", path=folder.final) from error
    return RunResult(folder.final, results, model)


def _folder(config: Config, data: PreparedData) -> RunFolder:
    protocol = config.data.resolved().protocol
    place = config.run.output_dir / data.spec.dataset / protocol / config.run.model_name
    return RunFolder(place / config.identity(data.fingerprint))


def _build(config: Config, data: PreparedData) -> PreRankingModel:
    run = config.run
    return models.build(run.model_name, data.spec, config.model, seed=run.random_seed, xla=run.jit)


def _check_classes(data: PreparedData) -> None:
    for part in ("train", "validation"):
        counts = data.manifest["parts"][part]
        if counts["positives"] in (0, counts["rows"]):
            raise InputError(
                f"the {part} part needs positives and negatives. "
                f"Received: {counts['positives']} positives in {counts['rows']} rows"
            )


def _fit(config: Config, data: PreparedData, model: PreRankingModel, folder: RunFolder, report: Report) -> Progress:
    """Train `model`; it ends with the weights of the best epoch."""
    run = config.run
    training = training_batches(config, data)
    if model.fit_directly(training.columns):
        return Progress(epochs=1, best_epoch=0, stopped=True)
    compile_model(model, run)
    model.plan_training(run.epoch, len(training))
    store = CheckpointStore(folder.checkpoints, model, model.optimizer)
    progress = store.restore()
    if progress.epochs:
        report(f"going on after epoch {progress.epochs} of an interrupted run")
    validation = Batches(data, "validation", _EVALUATION_BATCH)
    labels = read_columns(data, "validation", [data.spec.label])[data.spec.label]
    epoch_end = EpochEnd(progress, store, validation.dataset(), labels, training.rows, run.patience)
    if not progress.stopped and progress.epochs < run.epoch:
        model.fit(
            training.dataset(first_epoch=progress.epochs, plan=model.plan_lookups()),
            epochs=run.epoch,
            initial_epoch=progress.epochs,
            verbose=1 if sys.stdout.isatty() else 2,
            callbacks=[
                tf.keras.callbacks.TerminateOnNaN(),
                epoch_end,
                tf.keras.callbacks.TensorBoard(folder.working / "tensorboard", write_graph=False),
            ],
        )
    store.restore_best(progress)
    return progress


def compile_model(model: PreRankingModel, run: RunOptions) -> None:
    """Give `model` its optimizer, built, so that a checkpoint finds all of its variables."""
    model.compile(optimizer=LazyAdam(run.lr, embedding_l2=run.embedding_l2), jit_compile=run.jit)
    model.optimizer.build(model.trainable_variables)


def training_batches(config: Config, data: PreparedData) -> Batches:
    """The training part as `config` wants it shuffled and masked."""
    rate = config.run.oov_rate
    if rate is None:
        rate = 0.0 if "encoders" in config.data.resolved().leaks else _DEFAULT_OOV_RATE
    seed = config.run.random_seed
    return Batches(data, "train", config.run.batch_size, shuffle=True, oov_rate=rate, seed=seed)


def _describe(
    config: Config, data: PreparedData, model: PreRankingModel, progress: Progress, run_id: str
) -> dict[str, Any]:
    """What identifies a run and its training, without the evaluation."""
    resolved = config.data.resolved()
    speeds = [row["examples_per_second"] for row in progress.history]
    return {
        "status": "diverged" if progress.diverged else "finished",
        "reason": progress.diverged,
        "run_id": run_id,
        "dataset": data.spec.dataset,
        "protocol": resolved.protocol,
        "split": resolved.split,
        "state": resolved.state,
        "leaks": list(resolved.leaks),
        "model": config.run.model_name,
        "seed": config.run.random_seed,
        "data_fingerprint": data.fingerprint,
        "rows": {part: data.rows(part) for part in ("train", "validation", "test")},
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch + 1,
        "parameters": model.parameters(),
        "examples_per_second": statistics.median(speeds) if speeds else None,
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _evaluate(config: Config, data: PreparedData, model: PreRankingModel, folder: RunFolder) -> dict[str, Any]:
    """Metrics of the validation and test parts, of seen and unseen users apart, and the floor's."""
    results: dict[str, Any] = {}
    for part in ("validation", "test"):
        columns = read_columns(data, part, [data.spec.label, "group", "row", data.spec.user_id])
        labels, groups = columns[data.spec.label], columns["group"]
        logits = predict(model, Batches(data, part, _EVALUATION_BATCH).dataset())
        results[part] = metrics.evaluate(labels, logits, groups, logits=True)
        if part == "test":
            unseen = columns[data.spec.user_id] == UNSEEN
            for name, chosen in (("test_seen_users", ~unseen), ("test_unseen_users", unseen)):
                results[name] = metrics.evaluate(labels[chosen], logits[chosen], groups[chosen], logits=True)
            if config.run.save_predictions:
                _save_predictions(folder, columns, logits)
    results["floor"] = results["test"] if config.run.model_name == "target_means" else floor(data)
    return results


def floor(data: PreparedData) -> dict[str, float] | None:
    """Test metrics of `target_means`; None where the data set has no mean label of user and item."""
    if data.spec.user_mean is None or data.spec.item_mean is None:
        return None
    model = models.build("target_means", data.spec)
    model.fit_directly(Batches(data, "train", _EVALUATION_BATCH).columns)
    columns = read_columns(data, "test", [data.spec.label, "group"])
    logits = predict(model, Batches(data, "test", _EVALUATION_BATCH).dataset())
    return metrics.evaluate(columns[data.spec.label], logits, columns["group"], logits=True)


def _save_predictions(folder: RunFolder, columns: dict[str, np.ndarray], logits: np.ndarray) -> None:
    table = pa.table({"row": columns["row"], "group": columns["group"], "logit": logits})
    pq.write_table(table, folder.working / "predictions.parquet")


def _history_csv(progress: Progress) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in progress.history for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(progress.history)
    return text.getvalue()
