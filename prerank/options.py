"""Typed options: flags and keys of YAML, whose numbers are decimal, finite and bounded, and whose paths are paths."""

import functools
import math
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from annotated_types import Le, Lt
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from prerank.names import place
from prerank.numbers import integer, number

_LARGEST = 2**31 - 1
"""Most that an integer is, unless its option has a bound of its own."""
_ADDRESS = "://"


class Options(BaseModel):
    """What every class of options inherits.

    An option that is a number takes decimal ASCII digits: no `1_0`, `0x1F`, `nan`, spaces or truth values. An integer
    is at most 2³¹ − 1, unless its option says otherwise.

    Raises:
        pydantic.ValidationError: a value that is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        return _plain_option(value, cls.model_fields[str(info.field_name)])

    @classmethod
    def check_option(cls, name: str, value: Any) -> None:
        """See that one option can have a value, whatever the others are.

        Raises:
            ValueError: it cannot.
        """
        _adapter(cls, name).validate_python(_plain_option(value, cls.model_fields[name]))


@functools.cache
def _adapter(options: type[Options], name: str) -> TypeAdapter:
    field = options.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)


def _plain_option(value: Any, field: FieldInfo) -> Any:
    own = any(isinstance(bound, Le | Lt) for bound in field.metadata)
    return _plain(value, _types(cast(Hashable, field.annotation)), math.inf if own else _LARGEST)


@functools.cache
def _types(annotation: Any) -> frozenset[Any]:
    """The types that values of an annotation have in the end, such as int for `tuple[PositiveInt, ...] | None`."""
    parts = get_args(annotation)
    return frozenset().union(*map(_types, parts)) if parts else frozenset((annotation,))


def _plain(value: Any, types: frozenset[Any], most: float) -> Any:
    if Path in types and value is not None:
        return _path(value)
    if isinstance(value, list | tuple):
        return [_plain(element, types, most) for element in value]
    if not types & {int, float} or str in types:
        return value
    if isinstance(value, bool) and bool not in types:
        raise ValueError(f"expected a number. Received: {value!r}")
    if isinstance(value, str):
        value = number(value) if float in types else integer(value)
    if isinstance(value, float) and float not in types:
        raise ValueError(f"expected an integer. Received: {value!r}")
    limit = sys.float_info.max if float in types else most
    if isinstance(value, int | float) and not abs(value) <= limit:
        raise ValueError(f"expected a finite number of at most {limit:g}. Received: {value!r}")
    return value


def _path(value: Any) -> Any:
    if not isinstance(value, str | Path):
        raise ValueError(f"expected a path. Received: {value!r}")
    if _ADDRESS not in str(value):
        place(str(value))
    elif not str(value).isprintable():
        raise ValueError(f"expected an address. Received: {value!r}")
    return value
