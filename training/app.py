"""What a training script does: options, data, training, results, export.

TensorFlow is imported once training begins. Options are checked, help is shown and data are prepared without it.
"""

import functools
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import models
from export.place import target
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from prerank import tensorflow_log
from prerank.errors import InputError
from prerank.terminal import line_buffered
from training.config import Config, parse
from training.earlier import going_on
from training.exit_codes import EXIT_FINISHED, EXIT_INPUT, EXIT_INTERRUPTED
from training.options import RunOptions
from training.source import DataSource, locate

__all__ = ["DataSource", "main"]


def main(source: DataSource, argv: Sequence[str] | None = None) -> int:
    """Run a training script and return its exit code.

    0 finished, 2 wrong input, 3 diverged, 4 another worker of the training was lost, 130 interrupted.
    """
    line_buffered()
    try:
        config = parse(
            sys.argv[1:] if argv is None else argv,
            program=Path(sys.argv[0]).name,
            description=f"Train a pre-ranking model on {source.adapter.name}.",
            data_options=source.options,
            defaults=dict(source.defaults),
        )
        config = going_on(config)
        return _run(source, config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    except KeyboardInterrupt:
        print("interrupted: the same command resumes after the last whole epoch", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(source: DataSource, config: Config) -> int:
    _check_exportable(config)
    place = None if config.run.export_dir is None else target(config.run.export_dir, config.run.export_version)

    @functools.cache
    def located() -> Path:
        return locate(source, config)

    @functools.cache
    def prepared(path: Path) -> PreparedData:
        return prepare(source.adapter, config.data.model_copy(update={"data_path": path}), print)

    if _prepares_first(config.run):
        prepared(located())
        if config.run.prepare_only:
            return EXIT_FINISHED
    if config.run.device == "gpu":
        tensorflow_log.show()
    from training import session  # here TensorFlow is imported

    return session.run(config, place, located, prepared)


def _prepares_first(options: RunOptions) -> bool:
    """Whether data are prepared before TensorFlow is imported, which saves its memory and its seconds.

    Several workers have to find each other first, and a GPU that was asked for is looked for first.
    """
    return options.strategy == "single" and (options.device != "gpu" or options.prepare_only)


def _check_exportable(config: Config) -> None:
    if config.run.export_dir is None:
        return
    entry = models.get(config.run.model_name)
    if not entry.exportable:
        raise InputError(f"--export_dir: {entry.name} cannot be exported: {entry.limits['exportable']}")
    if config.run.export_format == "onnx":
        for package in ("onnx", "tf2onnx"):
            if importlib.util.find_spec(package) is None:
                raise InputError(f"--export_format onnx needs {package}: pip install -r requirements-onnx.txt")
