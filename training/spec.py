"""What of a data set a model may see."""

from __future__ import annotations

from dataclasses import replace

from features import FeatureSpec


def seen(spec: FeatureSpec, with_privileged: bool) -> FeatureSpec:
    """The specification of what a model sees: all fields, or all but the privileged ones."""
    return spec if with_privileged else without(spec, spec.privileged)


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
