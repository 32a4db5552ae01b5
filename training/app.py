"""What a training script does: options, data, training, results, export."""

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import models
from export import onnx_files
from export.writer import export, target
from preprocess.addresses import is_address
from preprocess.dataset import Adapter
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from prerank.layout import CATALOGUE, EXAMPLES
from training import device
from training.config import Config, parse
from training.distribution import Distribution, WorkerLostError, check_strategy, connect
from training.examples import examples
from training.run_folder import to_json
from training.trainer import RunResult, assist, finished, train

EXIT_FINISHED, EXIT_INPUT, EXIT_DIVERGED, EXIT_WORKER_LOST, EXIT_INTERRUPTED = 0, 2, 3, 4, 130


@dataclass(frozen=True)
class DataSource:
    """A data set as a training script offers it.

    Attributes:
        adapter: reads its raw files; its options may choose another.
        origin: where to get them, for people.
        default_path: where they are looked for if the user names no place; None: the user has to.
        generate: makes sure that a small sample in their layout lies in a folder or below, and returns where.
        download: fetches them to a folder, and returns the folder that holds them.
        options: the data set's options.
        defaults: its own defaults for options of run and model.
    """

    adapter: Adapter
    origin: str
    default_path: Path | None = None
    generate: Callable[[Path, Any], Path] | None = None
    download: Callable[[Path, Any], Path] | None = None
    options: type[DataOptions] = DataOptions
    defaults: Mapping[str, Any] = field(default_factory=dict)


def main(source: DataSource, argv: Sequence[str] | None = None) -> int:
    """Run a training script and return its exit code.

    0 finished, 2 wrong input, 3 diverged, 4 another worker of the training was lost, 130 interrupted.
    """
    try:
        config = parse(
            sys.argv[1:] if argv is None else argv,
            program=Path(sys.argv[0]).name,
            description=f"Train a pre-ranking model on {source.adapter.name}.",
            data_options=source.options,
            defaults=dict(source.defaults),
        )
        return _run(source, config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    except WorkerLostError as error:
        print(f"error: {error}", file=sys.stderr)
        _leave(EXIT_WORKER_LOST)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last whole epoch", file=sys.stderr)
        return EXIT_INTERRUPTED


def _leave(code: int) -> NoReturn:
    """End the process at once: TensorFlow's own end waits for a lost worker that does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(source: DataSource, config: Config) -> int:
    device.configure(config.run)
    _check_exportable(config)
    check_strategy(config.run)
    place = None if config.run.export_dir is None else target(config.run.export_dir, config.run.export_version)
    workers = connect(config.run, print)
    with workers.watched():
        code = _work(source, config, place, workers)
        workers.wait()  # a worker that leaves early counts as lost
    return code


def _work(source: DataSource, config: Config, place: Path | None, workers: Distribution) -> int:
    """What one of the workers does; only the chief evaluates and writes."""
    with workers.chief_first():
        path = locate(source, config)
    data = prepare(source.adapter, config.data.model_copy(update={"data_path": path}), print)
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
    if config.run.export_dir is not None and not config.run.overwrite and workers.workers == 1:
        found = finished(config, data, workers.replicas)
        if found is not None:
            print(f"this run is finished, so nothing is trained: {found.folder}")
            return found
    try:
        return train(config, data, distribution=workers)
    except OSError as error:
        raise InputError(f"--output_dir: cannot write the run: {error}", path=config.run.output_dir) from error


def _check_exportable(config: Config) -> None:
    entry = models.get(config.run.model_name)
    if config.run.export_dir is not None and not entry.exportable:
        raise InputError(f"--export_dir: {entry.name} cannot be exported: {entry.limits['exportable']}")
    if config.run.export_format == "onnx":
        onnx_files.require()


def locate(source: DataSource, config: Config) -> Path:
    """The raw data: what the user named, the default place, a download, or a generated sample.

    Raises:
        InputError: a download was asked for, and there is none; or there is nothing to run on.
    """
    named, default = config.data.data_path, source.default_path
    if config.run.download:
        target = named or default
        if source.download is None or target is None:
            raise InputError(f"--download: {source.adapter.name} cannot be downloaded. {source.origin}")
        if is_address(target):
            raise InputError("--download: --data_path has to be a folder of this machine", path=target)
        return source.download(target, config.data)
    if named is not None:
        return named
    if default is None or source.generate is None:
        raise InputError(f"--data_path is needed: {source.origin}")
    if default.exists():
        return default
    print(f"no data in {default}: {source.origin}")
    sample = source.generate(default.with_name(default.name + "-generated-sample"), config.data)
    print(f"running on a generated sample in the official layout, {sample}")
    return sample


def _export(config: Config, data: PreparedData, result: RunResult, place: Path) -> None:
    vocabularies = {name: data.vocabulary(name) for name in data.spec.tables}
    files: dict[str, str | bytes | Path] = {
        "config.yaml": config.to_yaml(),
        "metrics.json": to_json(result.metrics),
        CATALOGUE: data.catalogue,
    }
    if config.run.export_examples:
        files[EXAMPLES] = examples(data, config.run.export_examples)
    export(result.model, vocabularies, place, files, config.run.export_format)
    print(f"exported to {place}")


def _print_results(result: RunResult) -> None:
    values = result.metrics
    print(f"{values['model']} on {values['dataset']}, protocol {values['protocol']}: {values['status']}")
    rows = {
        "validation": values.get("validation"),
        "test": values.get("test"),
        "test, seen users": values.get("test_seen_users"),
        "test, unseen users": values.get("test_unseen_users"),
        "test, target_means (floor)": values.get("floor"),
    }
    names = ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece")
    print(f"{'':28}" + "".join(f"{name:>11}" for name in names) + f"{'rows':>11}")
    for title, row in rows.items():
        if row and row["rows"]:
            print(f"{title:28}" + "".join(_shown(row[name]) for name in names) + f"{row['rows']:11d}")
    print(f"results in {result.folder}")


def _shown(value: float | None) -> str:
    """A metric; one that does not exist is NaN, and null in the file of a finished run."""
    return f"{math.nan if value is None else value:11.4f}"
