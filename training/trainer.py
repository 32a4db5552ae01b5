"""One trainer for all models: from a configuration and prepared data to a finished run's folder."""

import csv
import importlib.metadata
import io
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
from features import UNSEEN
from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank import folders
from prerank.errors import InputError
from training import exposure, warm_start
from training.batches import Batches, read_beside, read_columns
from training.calibration import fit, measured
from training.callbacks import EpochEnd, copy_weights, predict
from training.config import Config
from training.distribution import Distribution
from training.moments import Moments
from training.objective_setup import check, prepared_training, training_batches
from training.optimizer import LazyAdam
from training.options import RunOptions
from training.progress import CheckpointStore, Progress
from training.rated import Rated
from training.records import read_metrics
from training.run_folder import METRICS, RunFolder, to_json
from training.selection import selection
from training.spec import as_seen, seen

_EVALUATION_BATCH = 8192
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


def train(
    config: Config, data: PreparedData, report: Report = print, distribution: Distribution | None = None
) -> RunResult:
    """Train, evaluate and record one run; goes on with an interrupted run of the same configuration.

    Args:
        config: the run's configuration.
        data: the prepared data set.
        report: takes lines meant for the user.
        distribution: the replicas that train, with this process as their chief; only this process if None.

    Raises:
        InputError: the run is finished already, another process is at it, a model lacks a field it needs, a part
            holds one class only, or the workers do not agree on what to train.
    """
    distribution = distribution or Distribution()
    data = warm_start.scaled_as_before(data, config.run)
    folder = _run_folder(config, data, distribution)
    with folder.open(config.run.overwrite):
        if _chief_says(folder.complete, distribution):
            print("an interrupted run was complete, so nothing is trained", file=sys.stderr)
            folder.finish()
            return _read_finished(config, data, folder)
        model = _build(config, data)
        folder.write_text("config.yaml", config.to_yaml())
        started = time.perf_counter()
        progress = _fit(config, data, model, folder, distribution, report)
        results = _describe(config, data, model, progress, folder.final.name)
        results |= {"strategy": config.run.strategy, "replicas": distribution.replicas}
        results["seconds"] = time.perf_counter() - started
        if not progress.diverged:
            report("evaluating on the test part")
            results |= _evaluate(config, data, model, folder)
        folder.weights.mkdir(exist_ok=True)
        model.save_trained(folder.weights)
        folder.write_text("history.csv", _history_csv(progress))
        folder.write_text(METRICS, to_json(results))  # the last one: from here on the run is complete
        folder.finish()
    return RunResult(folder.final, results, model)


def _chief_says(value: bool, distribution: Distribution) -> bool:
    """The value of the chief, as only the chief holds the run's folder."""
    return bool(distribution.gather(value)[0])


def finished(config: Config, data: PreparedData, replicas: int = 1) -> RunResult | None:
    """The finished run of a configuration, with the model as it was trained; None if there is none.

    Args:
        config: as for :func:`train`.
        data: as for :func:`train`.
        replicas: how many trained it.

    Raises:
        InputError: its files are missing or damaged.
    """
    data = warm_start.scaled_as_before(data, config.run)
    folder = _folder(config, data, replicas)
    folders.recover(folder.final)
    return _read_finished(config, data, folder) if folder.final.exists() else None


def _read_finished(config: Config, data: PreparedData, folder: RunFolder) -> RunResult:
    model = _build(config, data)
    try:
        results = read_metrics(folder.final)
        model.load_trained(folder.final / folder.checkpoints.name)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"a finished run cannot be read: {error}", path=folder.final) from error
    return RunResult(folder.final, results, model)


def assist(config: Config, data: PreparedData, distribution: Distribution, report: Report = print) -> None:
    """Train as a worker that is not the chief, until training ends; the chief evaluates and writes everything.

    Args:
        config: as for :func:`train`.
        data: as for :func:`train`.
        distribution: the workers, and this one's place among them.
        report: as for :func:`train`.

    Raises:
        InputError: as for :func:`train`.
    """
    data = warm_start.scaled_as_before(data, config.run)
    folder = _run_folder(config, data, distribution)
    if not _chief_says(False, distribution):
        _fit(config, data, _build(config, data), folder, distribution, report)


def _folder(config: Config, data: PreparedData, replicas: int) -> RunFolder:
    place = config.run.output_dir / data.spec.dataset / config.data.resolved().protocol / config.run.model_name
    return RunFolder(place / config.identity(data.fingerprint, replicas))


def _run_folder(config: Config, data: PreparedData, distribution: Distribution) -> RunFolder:
    """Where the run goes, once it is certain that it can be trained."""
    _check_classes(data)
    folder = _folder(config, data, distribution.replicas)
    number = int(folder.final.name.rsplit("-")[-1], 16)
    distribution.check_equal(number, "were started with other options or data than the chief")
    folder.check_unfinished(config.run.overwrite)
    return folder


def _build(config: Config, data: PreparedData) -> PreRankingModel:
    run = config.run
    tf.keras.utils.set_random_seed(run.random_seed)
    spec = seen(data.spec, run.with_privileged)
    return models.build(run.model_name, spec, config.model, seed=run.random_seed, xla=run.jit, entire_space=run)


def _check_classes(data: PreparedData) -> None:
    for part in ("train", "validation"):
        positives, labelled = _counted(data, part)
        if positives in (0, labelled):
            of_weight = " with a label and a weight above 0" if "weight" in data.spec.row_columns else ""
            raise InputError(
                f"the {part} part needs positives and negatives. "
                f"Received: {positives} positives in {labelled} rows{of_weight}"
            )


def _counted(data: PreparedData, part: str) -> tuple[int, int]:
    """How many rows of a part are positives, and how many have a label, of those that count at all."""
    if "weight" not in data.spec.row_columns:
        return data.manifest["parts"][part]["positives"], data.labelled(part)
    rated = Rated.read(data, part)
    assert rated.weights is not None  # the data have them
    labels = rated.labels[rated.weights > 0]
    return int((labels == 1).sum()), len(labels)


def _fit(
    config: Config,
    data: PreparedData,
    model: PreRankingModel,
    folder: RunFolder,
    distribution: Distribution,
    report: Report,
) -> Progress:
    """Train `model`; the chief's ends with the weights of the best epoch."""
    run = config.run
    check(config, data)
    beginning = warm_start.Beginning.open(model, data, run)
    if beginning is not None:
        beginning.give_weights(model)
    exposure.prepare(model, run, data)
    if model.fit_directly(as_seen(training_batches(config, data).columns, data.spec, model.spec)):
        return Progress(epochs=1, best_epoch=0, stopped=True)
    training, objective = prepared_training(config, data)
    validation = Batches(data, "validation", _EVALUATION_BATCH)
    distribution.check_rows(training, validation)
    trained = distribution.replicated(model, lambda: _build(config, data))
    trained.objective = objective
    with distribution.strategy.scope():
        compile_model(trained, run)
        if beginning is not None:
            beginning.give_moments(model, trained.optimizer)
    model.plan_training(run.epoch, len(training))
    beside = () if objective is None else objective.variables
    store = CheckpointStore(folder.checkpoints, model, trained.optimizer, beside)
    progress = store.restore()
    distribution.check_equal(progress.epochs, "find another state to go on from: --output_dir has to be one for all")
    copy_weights(model, trained)
    if progress.epochs:
        report(f"resuming after epoch {progress.epochs} of an interrupted run")
    rated = Rated.read(data, "validation")
    value = selection(run.select_by, data, model)
    epoch_end = EpochEnd(
        model, distribution, progress, store, validation, rated, training.rows, run.patience, run.select_by, value
    )
    callbacks = [tf.keras.callbacks.TerminateOnNaN(), epoch_end]
    if distribution.is_chief:
        callbacks.append(tf.keras.callbacks.TensorBoard(folder.working / "tensorboard", write_graph=False))
    if not progress.stopped and progress.epochs < run.epoch:
        report("tracing the training step: the first epoch takes longer than the others")
        trained.fit(
            distribution.dataset(training, progress.epochs, trained.plan_lookups()),
            steps_per_epoch=len(training),
            epochs=run.epoch,
            initial_epoch=progress.epochs,
            verbose=(1 if sys.stdout.isatty() else 2) if distribution.is_chief else 0,
            callbacks=callbacks,
        )
    if distribution.is_chief:
        store.restore_best(progress)
        if config.data.resolved().save_state != "none":
            Moments.of(trained.optimizer, len(model.trainable_weights)).write(folder.weights)
    return progress


def compile_model(model: PreRankingModel, run: RunOptions) -> None:
    """Give `model` its optimizer, built, so that a checkpoint finds all of its variables."""
    model.compile(optimizer=LazyAdam(run.lr, embedding_l2=run.embedding_l2), jit_compile=run.jit)
    model.optimizer.build(model.trained_variables)


def _describe(
    config: Config, data: PreparedData, model: PreRankingModel, progress: Progress, run_id: str
) -> dict[str, Any]:
    """What identifies a run and its training, without the evaluation."""
    resolved = config.data.resolved()
    dense = [field for field in data.spec.fields if field.kind == "dense"]
    earlier = {"scaling": {field.name: [field.mean, field.scale] for field in dense}} if config.run.init_from else {}
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
        "raw_data": data.raw_data,
        "out_of_vocabulary": data.manifest["out_of_vocabulary"],
        "rows": {part: data.rows(part) for part in ("train", "validation", "test")},
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch + 1,
        "parameters": model.parameters(),
        "examples_per_second": statistics.median(speeds) if speeds else None,
        **earlier,
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _evaluate(config: Config, data: PreparedData, model: PreRankingModel, folder: RunFolder) -> dict[str, Any]:
    """Metrics of the validation and test parts, of seen and unseen users apart, and the floor's."""
    results: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    for part in ("validation", "test"):
        rated = Rated.read(data, part)
        logits = predict(model, Batches(data, part, _EVALUATION_BATCH).dataset())
        results[part] = rated.evaluate(logits)
        if config.run.calibrate != "none":
            rows = (logits[rated.rows], rated.labels, rated.weights)
            calibration.setdefault("map", fit(config.run.calibrate, *rows))
            calibration[part] = measured(calibration["map"], *rows)
        if part == "test":
            unseen = _of_unseen_users(data)
            for name, chosen in (("test_seen_users", ~unseen), ("test_unseen_users", unseen)):
                results[name] = rated.evaluate(logits, chosen)
            if config.run.save_predictions:
                _save_predictions(folder, read_beside(data, "test", "group", "row"), logits)
    if calibration:
        results["calibration"] = calibration
    results["floor"] = results["test"] if config.run.model_name == "target_means" else floor(data)
    return results


def _of_unseen_users(data: PreparedData) -> np.ndarray:
    """Which test rows (n,) have a user whose id is out of vocabulary; of hashed ids, whom the training part lacks."""
    user = data.spec.user_id
    if not data.spec[user].hash_buckets:
        return read_columns(data, "test", [user])[user] == UNSEEN
    known, asked = (read_beside(data, part, "group")["group"] for part in ("train", "test"))
    return ~np.isin(asked, np.unique(known))


def floor(data: PreparedData) -> dict[str, float] | None:
    """Test metrics of `target_means`; None where no model may see a mean label of user and item."""
    spec = seen(data.spec, with_privileged=False)
    if spec.user_mean is None or spec.item_mean is None:
        return None
    model = models.build("target_means", spec)
    model.fit_directly(as_seen(Batches(data, "train", _EVALUATION_BATCH).columns, data.spec, spec))
    logits = predict(model, Batches(data, "test", _EVALUATION_BATCH).dataset())
    return Rated.read(data, "test").evaluate(logits)


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
