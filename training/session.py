"""A training and what comes of it: results and export. This half of a training script needs TensorFlow."""

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from export import onnx_files
from export.writer import export
from models import registry
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from prerank.layout import CATALOGUE, EXAMPLES
from training import device
from training.config import Config
from training.distribution import Distribution, WorkerLostError, check_strategy, connect
from training.examples import examples
from training.exit_codes import EXIT_DIVERGED, EXIT_FINISHED, EXIT_WORKER_LOST
from training.run_folder import to_json
from training.tasks import judged
from training.trainer import RunResult, assist, finished, train

_OF_MAP = ("ece", "pcoc", "logloss")


def run(config: Config, place: Path | None, locate: Callable[[], Path], prepare: Callable[[Path], PreparedData]) -> int:
    """Train, evaluate and export, with all workers that `--strategy` asks for, and return the exit code.

    Args:
        config: the whole configuration.
        place: where the export goes, or None.
        locate: finds the raw data, or fetches them.
        prepare: prepares them, or finds them prepared.

    Raises:
        InputError: an option, the data or the machine do not allow it.
    """
    device.configure(config.run)
    if config.run.export_format == "onnx":
        onnx_files.require()
    check_strategy(config.run)
    entry = registry.get(config.run.model_name)
    registry.check_exposure(entry, config.run)
    registry.check_tasks(entry, config.run, config.run)
    try:
        workers = connect(config.run, print)
        with workers.watched():
            with workers.chief_first():
                path = locate()
            code = _work(config, prepare(path), place, workers)
            workers.wait()  # a worker that leaves early counts as lost
    except WorkerLostError as error:
        print(f"error: {error}", file=sys.stderr)
        _leave(EXIT_WORKER_LOST)
    return code


def _work(config: Config, data: PreparedData, place: Path | None, workers: Distribution) -> int:
    """What one of the workers does; only the chief evaluates and writes."""
    if config.run.prepare_only:
        return EXIT_FINISHED
    if not workers.is_chief:
        assist(config, data, workers)
        return EXIT_FINISHED
    result = _trained(config, data, workers)
    _print_results(result)
    if result.diverged:
        print(f"error: the training diverged: {result.metrics['reason']}", file=sys.stderr)
        return EXIT_DIVERGED
    if place is not None:
        _export(config, data, result, place)
    return EXIT_FINISHED


def _trained(config: Config, data: PreparedData, workers: Distribution) -> RunResult:
    """A new run; or, where it is there already and only its export was asked for, the finished one."""
    try:
        if config.run.export_dir is not None and not config.run.overwrite and workers.workers == 1:
            found = finished(config, data, workers.replicas)
            if found is not None:
                print(f"this run is finished, so nothing is trained: {found.folder}")
                return found
        return train(config, data, distribution=workers)
    except OSError as error:
        raise InputError(f"--output_dir: cannot write the run: {error}", path=config.run.output_dir) from error


def _export(config: Config, data: PreparedData, result: RunResult, place: Path) -> None:
    vocabularies = {name: data.vocabulary(name) for name in data.spec.tables}
    files: dict[str, str | bytes | Path] = {
        "config.yaml": config.to_yaml(),
        "metrics.json": to_json(result.metrics),
        CATALOGUE: data.catalogue,
    }
    if config.run.export_examples and data.rows("test"):
        files[EXAMPLES] = examples(judged(data, config.run), config.run.export_examples)
    print(f"exporting as {config.run.export_format}")
    calibration = (result.metrics.get("calibration") or {}).get("map")
    maps = {task: found.get("calibration", {}).get("map") for task, found in result.metrics.get("tasks", {}).items()}
    said = {"fitted_on": result.metrics.get("fitted_on", "train")}
    export(
        result.model,
        vocabularies,
        place,
        files,
        config.run.export_format,
        calibration=calibration,
        task_calibrations=maps,
        said=said,
    )
    print(f"exported to {place}")


def _print_results(result: RunResult) -> None:
    values = result.metrics
    print(f"{values['model']} on {values['dataset']}, protocol {values['protocol']}: {values['status']}")
    if values.get("fitted_on") == "all":
        print(f"trained on all {values['rows']['train']:,} rows, epochs: {values['epochs']}; nothing is measured")
        print(f"results in {result.folder}")
        return
    rows = {
        "validation": values.get("validation"),
        "test": values.get("test"),
        "test, seen users": values.get("test_seen_users"),
        "test, unseen users": values.get("test_unseen_users"),
        "test, target_means (floor)": values.get("floor"),
    } | {f"test, {task}": found["test"] for task, found in values.get("tasks", {}).items()}
    names = ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece")
    print(f"{'':28}" + "".join(f"{name:>11}" for name in names) + f"{'rows':>11}")
    for title, row in rows.items():
        if row and row["rows"]:
            print(f"{title:28}" + "".join(_cell(row[name]) for name in names) + f"{row['rows']:11d}")
    if (test := rows["test"]) and test["rows"]:
        left_out = test.get("gauc_users_left_out")
        if left_out is not None and not math.isnan(left_out):
            print(f"gauc leaves out {left_out:.1%} of the test part's users: their labels are all equal")
    if values.get("calibration"):
        after = values["calibration"]["test"]
        changes = (f"{name} {_plain(after[f'{name}_before'])} -> {_plain(after[f'{name}_after'])}" for name in _OF_MAP)
        print(f"calibrated on validation, on test: {', '.join(changes)}")
    print(f"results in {result.folder}")


def _plain(value: float | None) -> str:
    return _cell(value).strip()


def _cell(value: float | None) -> str:
    """A metric; a finished run's record has null where the metric does not exist."""
    return f"{'–':>11}" if value is None or math.isnan(value) else f"{value:11.4f}"


def _leave(code: int) -> NoReturn:
    """End the process at once: TensorFlow's own end waits for a lost worker that does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
