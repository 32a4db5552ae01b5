"""Which values of a model's options are tried: the same rules for every model, by the option's name or type.

The options of training, and the two that every model has, have ranges of their own. Of a model's other options an
integer is halved or doubled, a float is taken up to four times smaller or larger on a logarithmic scale, or from
[0, 0.6] if it must be below 1, the widths of layers are all halved or doubled, and a choice is any of its values.
Switches keep their default, and so do numbers whose default is 0.
"""

import types
import typing
from collections.abc import Callable, Collection
from typing import Any, Literal

import annotated_types
import optuna
from pydantic.fields import FieldInfo

from models import ModelOptions
from training.options import RunOptions

Suggest = Callable[[optuna.Trial], str]

_COMMON: dict[str, Suggest] = {
    "lr": lambda trial: _text(trial.suggest_float("lr", 3e-4, 3e-3, log=True)),
    "embedding_l2": lambda trial: _text(trial.suggest_float("embedding_l2", 1e-7, 1e-3, log=True)),
    "batch_size": lambda trial: str(trial.suggest_categorical("batch_size", [512, 1024, 2048, 4096])),
    "embedding_dim": lambda trial: str(trial.suggest_categorical("embedding_dim", [8, 16, 32, 64])),
    "dropout": lambda trial: _text(trial.suggest_float("dropout", 0.0, 0.6)),
}
_FACTORS = (0.5, 1.0, 2.0)
_SPREAD = 4.0
_HIGHEST_SHARE = 0.6


def search_space(options: type[ModelOptions], fixed: Collection[str] = ()) -> dict[str, Suggest]:
    """What suggests a value of each option that is tuned, as text for a flag.

    Args:
        options: the model's options.
        fixed: options that keep the value that they are given.
    """
    space = dict(_COMMON)
    for name, field in options.model_fields.items():
        if name not in space and (suggest := _of_field(name, field)):
            space[name] = suggest
    return {name: suggest for name, suggest in space.items() if name not in fixed}


def defaults(options: type[ModelOptions], space: Collection[str]) -> dict[str, Any]:
    """The parameters of a trial with every option at its default, as far as the space has it."""
    fields = {**RunOptions.model_fields, **options.model_fields}
    return {name: 1.0 if isinstance(fields[name].default, tuple) else fields[name].default for name in space}


def _of_field(name: str, field: FieldInfo) -> Suggest | None:
    default = field.default
    if typing.get_origin(_without_none(field.annotation)) is Literal:
        choices = list(typing.get_args(_without_none(field.annotation)))
        return lambda trial: str(trial.suggest_categorical(name, choices))
    if isinstance(default, bool) or not default:
        return None
    if isinstance(default, tuple):
        return lambda trial: _scaled(default, trial.suggest_categorical(name, _FACTORS))
    if isinstance(default, int):
        steps = sorted({max(1, round(default * factor)) for factor in _FACTORS})
        return lambda trial: str(trial.suggest_categorical(name, steps))
    if isinstance(default, float):
        if any(isinstance(rule, annotated_types.Lt | annotated_types.Le) for rule in field.metadata):
            return lambda trial: _text(trial.suggest_float(name, 0.0, _HIGHEST_SHARE))
        low, high = default / _SPREAD, default * _SPREAD
        return lambda trial: _text(trial.suggest_float(name, low, high, log=True))
    return None


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _scaled(widths: tuple[int, ...], factor: float) -> str:
    return ",".join(str(max(1, round(width * factor))) for width in widths)


def _text(value: float) -> str:
    return f"{value:.4g}"
