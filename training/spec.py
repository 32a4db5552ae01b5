"""What of a data set a model may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from features import FeatureSpec

_BESIDE = ("timestamp", "weight")
"""What a model may read beside its fields and the label."""


def seen(spec: FeatureSpec, with_privileged: bool) -> FeatureSpec:
    """The specification of what a model sees: all fields, or all but the privileged ones."""
    return spec if with_privileged else without(spec, spec.privileged)


def as_seen(read: Callable[..., Any], data: FeatureSpec, model: FeatureSpec) -> Callable[..., Any]:
    """A :class:`models.contracts.ReadColumns` that takes and gives the names of a model's specification.

    A column beside the fields has another name where a field of the data is called as the column is. A model that does
    not see that field knows nothing of it.

    Args:
        read: takes and gives the names of the data's specification.
        data: that specification.
        model: the model's.
    """
    stored_as = {model.beside(name): data.beside(name) for name in _BESIDE}

    def columns(names: Sequence[str], *arguments: Any, **options: Any) -> dict[str, Any]:
        stored = [stored_as.get(name, name) for name in names]
        found = read(stored, *arguments, **options)
        return {name: found[column] for name, column in zip(names, stored, strict=True)}

    return columns


def without(spec: FeatureSpec, names: tuple[str, ...]) -> FeatureSpec:
    """A specification without some fields and their roles."""
    if not names:
        return spec

    def kept(role: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in role if name not in names)

    def given(name: str | None) -> str | None:
        return None if name in names else name

    return replace(
        spec,
        fields=tuple(field for field in spec.fields if field.name not in names),
        user_static=kept(spec.user_static),
        item_static=kept(spec.item_static),
        behaviours=kept(spec.behaviours),
        context=kept(spec.context),
        history=given(spec.history),
        category=given(spec.category),
        user_mean=given(spec.user_mean),
        item_mean=given(spec.item_mean),
        privileged=(),
    )
