"""The registry of models. A model registers itself in its own file; importing this package's files finds it."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from features import FeatureSpec
from models.base import PreRankingModel, TwoTowerModel
from models.options import ModelOptions
from prerank.errors import InputError

FLAGS = ("decoupled", "exportable", "differentiable", "calibrated")
"""What a model is, unless its `limits` say why not: see :class:`ModelEntry`."""

_ONE_TOWER = "one tower takes the features of user and item together"


@dataclass(frozen=True)
class ModelEntry:
    """A registered model.

    Attributes:
        name: what `--model_name` takes.
        model: the class.
        options: its options.
        kind: what family it belongs to, for tables.
        source: the paper.
        limits: the reason, by each of :data:`FLAGS` that does not hold.
    """

    name: str
    model: type[PreRankingModel]
    options: type[ModelOptions]
    kind: str
    source: str
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def decoupled(self) -> bool:
        """Users and items are encoded apart and meet in `score`."""
        return "decoupled" not in self.limits

    @property
    def exportable(self) -> bool:
        """It can be written as a SavedModel."""
        return "exportable" not in self.limits

    @property
    def differentiable(self) -> bool:
        """It is trained by gradient steps, or could be."""
        return "differentiable" not in self.limits

    @property
    def calibrated(self) -> bool:
        """The sigmoid of its logit is trained to be the probability of a positive."""
        return "calibrated" not in self.limits


_ENTRIES: dict[str, ModelEntry] = {}


def register(
    name: str, *, options: type[ModelOptions], kind: str, source: str, limits: Mapping[str, str] | None = None
) -> Callable[[type[PreRankingModel]], type[PreRankingModel]]:
    """Class decorator that enters a model under `name`.

    Whether it is decoupled follows from its class; the other limits are named here.

    Raises:
        ValueError: the name is taken, or a limit is none of :data:`FLAGS`.
    """
    if unknown := sorted(set(limits or {}) - set(FLAGS)):
        raise ValueError(f"limits must name flags out of {FLAGS}. Received: {unknown}")

    def enter(model: type[PreRankingModel]) -> type[PreRankingModel]:
        if name in _ENTRIES:
            raise ValueError(f"model {name!r} is registered twice, by {_ENTRIES[name].model} and {model}")
        model.options_class = options
        of_class = {} if issubclass(model, TwoTowerModel) else {"decoupled": _ONE_TOWER}
        _ENTRIES[name] = ModelEntry(name, model, options, kind, source, {**of_class, **(limits or {})})
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
