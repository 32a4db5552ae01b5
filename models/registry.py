"""The registry of models: what is known of each without TensorFlow, and the class, which needs it.

A model is a folder `models/<name>/`: `options.py` holds its options and its entry, `model.py` its class. Or it is one
file `models/<name>.py` whose class has the decorator :func:`register`; reading its options then takes TensorFlow. Both
are found by looking for them. A class of another program enters by the same decorator.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import models
from features import FeatureSpec
from models.exposure_options import ExposureOptions
from models.options import ModelOptions
from models.task_options import TaskOptions
from prerank.errors import InputError
from prerank.hints import did_you_mean

if TYPE_CHECKING:
    from models.base import PreRankingModel

FLAGS = ("decoupled", "exportable", "differentiable", "calibrated")
"""What a model is, unless its `limits` say why not: see :class:`ModelEntry`."""

_IN_ONE_FILE = re.compile(r"^(@|ENTRY = )register\(", re.MULTILINE)
_ONE_TOWER = "one tower takes the features of user and item together"


@dataclass(frozen=True)
class ModelEntry:
    """A registered model. As a decorator it enters the class.

    Attributes:
        name: what `--model_name` takes.
        options: its options.
        kind: what family it belongs to, for tables.
        source: the paper.
        limits: the reason, by each of :data:`FLAGS` that does not hold.
        link: address of the paper, or empty.
        one_tower_tasks: whether a model that is not decoupled can have several tasks.
    """

    name: str
    options: type[ModelOptions]
    kind: str
    source: str
    limits: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    one_tower_tasks: bool = False

    def __call__(self, model: type[PreRankingModel]) -> type[PreRankingModel]:
        """Enter the class.

        Raises:
            ValueError: another model has the name, or the class is decoupled and the entry is not, or the reverse.
        """
        from models.base import TwoTowerModel

        if (known := _find(self.name)) not in (None, self):
            raise ValueError(f"model {self.name!r} is registered twice, by {known.model} and {model}")
        if issubclass(model, TwoTowerModel) != self.decoupled:
            raise ValueError(f"{self.name}: decoupled={self.decoupled}, which {model} is not")
        model.options_class = self.options
        _REGISTERED.setdefault(self.name, self)
        _CLASSES[self.name] = model
        return model

    @property
    def model(self) -> type[PreRankingModel]:
        """The class. Imports it, and TensorFlow, when it is first asked for."""
        if self.name not in _CLASSES:
            importlib.import_module(f"{models.__name__}.{self.name}.model")
        if self.name not in _CLASSES:
            raise ImportError(f"no class in models/{self.name}/model.py has the decorator @ENTRY")
        return _CLASSES[self.name]

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

    @property
    def several_tasks(self) -> bool:
        """It can learn several tasks, from one encoder of the features."""
        return self.differentiable and (self.decoupled or self.one_tower_tasks)


_REGISTERED: dict[str, ModelEntry] = {}
_CLASSES: dict[str, type[PreRankingModel]] = {}


def register(
    name: str,
    *,
    options: type[ModelOptions],
    kind: str,
    source: str,
    link: str = "",
    decoupled: bool = True,
    limits: Mapping[str, str] | None = None,
    one_tower_tasks: bool = False,
) -> ModelEntry:
    """The entry of a model, which is the decorator of its class.

    Args:
        name: what `--model_name` takes; the name of the model's folder.
        options: its options.
        kind: what family it belongs to, for tables.
        source: the paper.
        link: address of the paper, or empty.
        decoupled: whether the class is a `TwoTowerModel`.
        limits: the reasons of other flags that do not hold.
        one_tower_tasks: whether a class that is no `TwoTowerModel` can have several tasks: it makes its encoder by
            `make_encoder`, and has it as its attribute.

    Raises:
        ValueError: a limit is none of :data:`FLAGS`.
    """
    if unknown := sorted(set(limits or {}) - set(FLAGS)):
        raise ValueError(f"limits must name flags out of {FLAGS}. Received: {unknown}")
    of_class = {} if decoupled else {"decoupled": _ONE_TOWER}
    return ModelEntry(name, options, kind, source, {**of_class, **(limits or {})}, link, one_tower_tasks)


@functools.cache
def _modules() -> dict[str, str]:
    """What to import for the entry of each model of this package, by the model's name."""
    found = {}
    for place in map(Path, models.__path__):
        for file in place.glob("*/options.py"):
            found[file.parent.name] = f"{models.__name__}.{file.parent.name}.options"
        for file in place.glob("*.py"):
            if _IN_ONE_FILE.search(file.read_text(encoding="utf-8")):
                found[file.stem] = f"{models.__name__}.{file.stem}"
    return found


def names() -> list[str]:
    """Names of all models, sorted."""
    return sorted(_modules().keys() | _REGISTERED.keys())


def _find(name: str) -> ModelEntry | None:
    if name not in _REGISTERED and name in _modules():
        module = importlib.import_module(_modules()[name])
        entry = getattr(module, "ENTRY", None)
        if isinstance(entry, ModelEntry) and entry.name == name:
            _REGISTERED.setdefault(name, entry)
    return _REGISTERED.get(name)


def get(name: str) -> ModelEntry:
    """The model called `name`.

    Raises:
        InputError: there is none.
        ImportError: its file registers no model of this name.
    """
    if name not in names():
        hint = did_you_mean(name, names())
        raise InputError(f"--model_name: there is no model {name!r}{hint or ', choose one of ' + ', '.join(names())}")
    entry = _find(name)
    if entry is None:
        raise ImportError(f"{_modules()[name]} registers no model {name!r}: a model has the name of its folder or file")
    return entry


def build(
    name: str,
    spec: FeatureSpec,
    options: ModelOptions | dict[str, Any] | None = None,
    seed: int = 0,
    xla: bool = False,
    entire_space: bool | ExposureOptions = False,
    tasks: TaskOptions | None = None,
) -> PreRankingModel:
    """Make the model `name` for a data set, its weights built. Imports TensorFlow.

    Args:
        name: a registered name.
        spec: the data set's feature specification.
        options: the model's options, or values for them; its defaults if None.
        seed: seed of the initial weights and dropout masks.
        xla: use only operations that XLA compiles; slower elsewhere.
        entire_space: whether the model also learns which items are shown, see :mod:`models.entire_space`; or the
            options that say so.
        tasks: options of the tasks; None for one. See :mod:`models.multi_task`.

    Raises:
        InputError: there is no such model, it lacks a field in `spec`, or it cannot be had with `entire_space` or with
            several tasks.
    """
    entry = get(name)
    exposure = (
        entire_space
        if isinstance(entire_space, ExposureOptions)
        else ExposureOptions.model_validate({"entire_space": entire_space})
    )
    check_exposure(entry, exposure)
    if not isinstance(options, ModelOptions):
        options = entry.options(**(options or {}))
    make = functools.partial(entry.model, spec, options, seed=seed, xla=xla, name=name)
    if tasks is not None and tasks.several:
        from models.multi_task import several_tasks

        check_tasks(entry, tasks, exposure)
        model: PreRankingModel = several_tasks(make, tasks.of_tasks())
    else:
        model = make()
    if exposure.entire_space:
        from models.entire_space import factorised

        model = factorised(model, exposure.of_exposure())
    model.build_weights()
    return model


def check_exposure(entry: ModelEntry, exposure: ExposureOptions) -> None:
    """Check that a model can have the exposure part that is asked for.

    Raises:
        InputError: it is not trained by gradient steps, or its logit is not that of a probability.
    """
    for flag in ("differentiable", "calibrated"):
        if exposure.entire_space and flag in entry.limits:
            raise InputError(
                f"--entire_space: expected a model that is trained by gradient steps and calibrated. "
                f"{entry.name}: {entry.limits[flag]}"
            )


def check_tasks(entry: ModelEntry, tasks: TaskOptions, exposure: ExposureOptions) -> None:
    """Check that a model can learn the tasks that are asked for.

    Raises:
        InputError: it is a ranker, is not trained by gradient steps, or its logit is not that of a probability.
    """
    if not tasks.several:
        return
    if not entry.several_tasks:
        reason = entry.limits.get("differentiable") or entry.limits["decoupled"]
        raise InputError(f"--tasks: expected a two-tower model or cold for several tasks. {entry.name}: {reason}")
    if tasks.esmm and not entry.calibrated:
        raise InputError(f"--esmm multiplies probabilities. {entry.name}: {entry.limits['calibrated']}")
    if exposure.entire_space:
        raise InputError("--entire_space takes one task. Expected: one name after --tasks, or none")
