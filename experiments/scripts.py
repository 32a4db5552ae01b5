"""The training scripts by data set, found by their names."""

import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.generated import without_suffix
from preprocess.options import DataOptions
from prerank.errors import InputError
from training.source import DataSource

ROOT = Path(__file__).parents[1]
_PREFIX, _SUFFIX = "train_", "_whole_models.py"
OWN = "own"
"""What the script for data of one's own is called by."""


@dataclass(frozen=True)
class Script:
    """A training script.

    Attributes:
        path: the file.
        source: the data set that it trains on.
    """

    path: Path
    source: DataSource


def datasets() -> list[str]:
    """What the training scripts of the public data sets are called by, `train_<this>_whole_models.py`."""
    return sorted(path.name[len(_PREFIX) : -len(_SUFFIX)] for path in ROOT.glob(f"{_PREFIX}*{_SUFFIX}"))


def _path(dataset: str) -> Path:
    return ROOT / ("train_whole_models.py" if dataset == OWN else f"{_PREFIX}{dataset}{_SUFFIX}")


@functools.cache
def script(dataset: str) -> Script:
    """The training script of a data set, or of data of one's own (:data:`OWN`).

    Raises:
        InputError: it has none.
    """
    if dataset not in (known := [*datasets(), OWN]):
        raise InputError(f"--dataset: there is no data set {dataset!r}, choose one of {', '.join(known)}")
    path = _path(dataset)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Script(path, module.SOURCE)


@functools.cache
def script_of(name: str) -> str | None:
    """Which of :func:`datasets` has the script that trains on the data set `name`, as runs name it.

    A script may train on several data sets, and on generated ones. None: the user named the data set in a schema.
    """
    real = without_suffix(name)
    return next((dataset for dataset in datasets() if real in script(dataset).source.names), None)


def options_and_defaults(name: str) -> tuple[type[DataOptions], Mapping[str, Any]]:
    """The options of preparing the data set `name`, as runs name it, and its own defaults for other options."""
    dataset = script_of(name)
    if dataset is None:
        return DataOptions, {}
    source = script(dataset).source
    return source.options, source.defaults
