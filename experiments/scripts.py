"""The training scripts by data set, found by their names."""

import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.options import DataOptions
from prerank.errors import InputError
from training.source import DataSource

ROOT = Path(__file__).parents[1]
_PREFIX, _SUFFIX = "train_", "_whole_models.py"


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
    """Data sets that have a training script, `train_<data set>_whole_models.py`."""
    return sorted(path.name[len(_PREFIX) : -len(_SUFFIX)] for path in ROOT.glob(f"{_PREFIX}*{_SUFFIX}"))


@functools.cache
def script(dataset: str) -> Script:
    """The training script of a data set.

    Raises:
        InputError: it has none.
    """
    if dataset not in datasets():
        raise InputError(f"--dataset: there is no data set {dataset!r}, choose one of {', '.join(datasets())}")
    path = ROOT / f"{_PREFIX}{dataset}{_SUFFIX}"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Script(path, module.SOURCE)


def options_and_defaults(name: str) -> tuple[type[DataOptions], Mapping[str, Any]]:
    """The options of preparing the data set `name`, as runs name it, and its own defaults for other options.

    A training script may be of several data sets, whose names then begin with its own.
    """
    for dataset in datasets():
        if name == dataset or name.startswith(f"{dataset}_"):
            source = script(dataset).source
            return source.options, source.defaults
    return DataOptions, {}
