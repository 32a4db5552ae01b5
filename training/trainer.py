"""One trainer for all models: from a configuration and prepared data to a finished run's folder."""

import csv
import importlib.metadata
import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

import models
from models import PreRankingModel
from models.multi_task import MultiTaskModel
from preprocess.prepared import PreparedData
from prerank import folders
from prerank.errors import InputError
from training import curves, exposure, row_kernels, tasks, warm_start
from training.batches import Batches
from training.callbacks import EpochEnd, EpochEndOnAll, copy_weights
from training.config import Config
from training.distribution import Distribution
from training.evaluation import EVALUATION_BATCH, evaluate
from training.finished_runs import epochs_on_all
from training.objective_setup import check, prepared_training, training_batches
from training.optimizer import LazyAdam
from training.options import RunOptions
from training.progress import CheckpointStore, Progress
from training.rated import Rated
from training.records import read_metrics
from training.run_folder import METRICS, RunFolder, to_json
from training.selection import selection
from training.spec import as_seen, seen

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
    data = tasks.judged(warm_start.scaled_as_before(data, config.run), config.run)
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
        results["embedding_rows"] = row_kernels.used(model)
        results["seconds"] = time.perf_counter() - started
        if not progress.diverged and config.run.fit_all is None:
            report("evaluating on the test part")
            results |= evaluate(config, data, model, folder)
        curves.write_results(folder.working, folder.final.name, config.values(), results)
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
    data = tasks.judged(warm_start.scaled_as_before(data, config.run), config.run)
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
    data = tasks.judged(warm_start.scaled_as_before(data, config.run), config.run)
    folder = _run_folder(config, data, distribution)
    if not _chief_says(False, distribution):
        _fit(config, data, _build(config, data), folder, distribution, report)


def _folder(config: Config, data: PreparedData, replicas: int) -> RunFolder:
    place = config.run.output_dir / data.spec.dataset / config.data.resolved().protocol / config.run.model_name
    return RunFolder(place / config.identity(data.fingerprint, replicas))


def _run_folder(config: Config, data: PreparedData, distribution: Distribution) -> RunFolder:
    """Where the run goes, once it is certain that it can be trained."""
    parts = ("train", "validation") if config.run.fit_all is None else ("train",)
    _check_classes(data, parts)
    for task in config.run.tasks:
        _check_classes(tasks.of_task(data, task), parts, f" of the label {task}")
    folder = _folder(config, data, distribution.replicas)
    number = int(folder.final.name.rsplit("-")[-1], 16)
    distribution.check_equal(number, "were started with other options or data than the chief")
    folder.check_unfinished(config.run.overwrite)
    return folder


def _build(config: Config, data: PreparedData) -> PreRankingModel:
    run = config.run
    tf.keras.utils.set_random_seed(run.random_seed)
    spec = seen(data.spec, run.with_privileged)
    model = models.build(
        run.model_name, spec, config.model, seed=run.random_seed, xla=run.jit, entire_space=run, tasks=run
    )
    if isinstance(model, MultiTaskModel):
        model.partly_labelled = tasks.partly_labelled(data, run)
    return model


def _check_classes(data: PreparedData, parts: Sequence[str], of_label: str = "") -> None:
    for part in parts:
        positives, labelled = _counted(data, part)
        if positives in (0, labelled):
            of_weight = " with a label and a weight above 0" if "weight" in data.spec.row_columns else ""
            raise InputError(
                f"the {part} part needs positives and negatives{of_label}. "
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
    warm_start.begin(model, data, run)
    exposure.prepare(model, run, data)
    read = as_seen(training_batches(config, data).columns, data.spec, model.spec)
    model.prepare(read)
    if model.fit_directly(read):
        return Progress(epochs=1, best_epoch=0, stopped=True)
    training, objective = prepared_training(config, data)
    measured = "validation" if run.fit_all is None else "train"
    judged = Batches(data, measured, EVALUATION_BATCH)
    distribution.check_rows(training, judged)
    trained = distribution.replicated(model, lambda: _build(config, data))
    trained.objective = objective
    row_kernels.choose(trained, distribution.replicas, report)
    with distribution.strategy.scope():
        compile_model(trained, run)
    model.plan_training(run.epoch, len(training))
    beside = () if objective is None else objective.variables
    store = CheckpointStore(folder.checkpoints, model, trained.optimizer, beside)
    progress = store.restore()
    distribution.check_equal(progress.epochs, "find another state to go on from: --output_dir has to be one for all")
    copy_weights(model, trained)
    if progress.epochs:
        report(f"resuming after epoch {progress.epochs} of an interrupted run")
    end = EpochEnd if run.fit_all is None else EpochEndOnAll
    epochs = run.epoch if run.fit_all is None else epochs_on_all(run.fit_all, run.epoch)
    rated, value = Rated.read(data, measured), selection(run.select_by, data, model)
    epoch_end = end(
        model, distribution, progress, store, judged, rated, training.rows, run.patience, run.select_by, value
    )
    callbacks = [tf.keras.callbacks.TerminateOnNaN(), epoch_end]
    if distribution.is_chief:
        callbacks.append(curves.Curves(folder.working))
    if not progress.stopped and progress.epochs < epochs:
        report("tracing the training step: the first epoch takes longer than the others")
        trained.fit(
            distribution.dataset(training, progress.epochs, trained.plan_lookups()),
            steps_per_epoch=len(training),
            epochs=epochs,
            initial_epoch=progress.epochs,
            verbose=(1 if sys.stdout.isatty() else 2) if distribution.is_chief else 0,
            callbacks=callbacks,
        )
    if distribution.is_chief:
        store.restore_best(progress)
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
        "fitted_on": "train" if config.run.fit_all is None else "all",
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch + 1,
        "parameters": model.parameters(),
        "examples_per_second": statistics.median(speeds) if speeds else None,
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _history_csv(progress: Progress) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in progress.history for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(progress.history)
    return text.getvalue()
