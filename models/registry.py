"""The registry of models. A model registers itself in its own file; importing this package's files finds it."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from errors import InputError
from features import FeatureSpec
from models.base import PreRankingModel
from models.options import ModelOptions


@dataclass(frozen=True)
class ModelEntry:
    """A registered model.

    Attributes:
        name: what `--model_name` takes.
        model: the class.
        options: its options.
        kind: what family it belongs to, for tables.
        source: the paper.
    """

    name: str
    model: type[PreRankingModel]
    options: type[ModelOptions]
    kind: str
    source: str


_ENTRIES: dict[str, ModelEntry] = {}


def register(
    name: str, *, options: type[ModelOptions], kind: str, source: str
) -> Callable[[type[PreRankingModel]], type[PreRankingModel]]:
    """Class decorator that enters a model under `name`.

    Raises:
        ValueError: the name is taken.
    """

    def enter(model: type[PreRankingModel]) -> type[PreRankingModel]:
        if name in _ENTRIES:
            raise ValueError(f"model {name!r} is registered twice, by {_ENTRIES[name].model} and {model}")
        model.options_class = options
        _ENTRIES[name] = ModelEntry(name, model, options, kind, source)
        return model

    return enter


@functools.cache
def _import_all() -> None:
    package = importlib.import_module("models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"models.{module.name}")


def names() -> list[str]:
    """Names of all models, sorted."""
    _import_all()
    return sorted(_ENTRIES)


def get(name: str) -> ModelEntry:
    """The model called `name`.

    Raises:
        InputError: there is none.
    """
    _import_all()
    if name not in _ENTRIES:
        raise InputError(f"--model_name: there is no model {name!r}, choose one of {', '.join(names())}")
    return _ENTRIES[name]


def build(
    name: str,
    spec: FeatureSpec,
    options: ModelOptions | dict[str, Any] | None = None,
    seed: int = 0,
    xla: bool = False,
) -> PreRankingModel:
    """Make the model `name` for a data set, its weights built.

    Args:
        name: a registered name.
        spec: the data set's feature specification.
        options: the model's options, or values for them; its defaults if None.
        seed: seed of the initial weights and dropout masks.
        xla: use only operations that XLA compiles; slower elsewhere.

    Raises:
        InputError: there is no such model, or it lacks a field in `spec`.
    """
    entry = get(name)
    if not isinstance(options, ModelOptions):
        options = entry.options(**(options or {}))
    model = entry.model(spec, options, seed=seed, xla=xla, name=name)
    model.build_weights()
    return model
