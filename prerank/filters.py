"""Conditions on the attributes of items, as requests spell them.

    {"category": ["shoes", "boots"], "price": {"min": 5, "max": 50}, "advertiser": {"not": [17]}}

An item has to meet all of them. A list names the values that an item may have, null a missing one. `min` and `max` are
inclusive, and no missing number lies between them. An item with a list has to have one value that meets the condition;
with `not`, none of those named.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from prerank.arrays import is_array
from prerank.attributes import Attribute
from prerank.errors import RequestError
from prerank.values import WrongValueError, integer, plain, read, short

_KEYS = ("any", "not", "min", "max")


def mask(attributes: Mapping[str, Attribute], wanted: Any, count: int) -> np.ndarray:
    """Which items meet a filter, (N,) bool.

    Args:
        attributes: of the index, by name.
        wanted: the filter, see the module.
        count: how many items there are, N.

    Raises:
        RequestError: the filter is none, names no attribute of the index, or has a value of another kind.
    """
    if not isinstance(wanted, Mapping):
        raise RequestError(f"filter: expected conditions by attribute. Received: {short(wanted)}", field="filter")
    found = np.ones(count, bool)
    for name, condition in wanted.items():
        found &= _meeting(attribute_of(attributes, name, f"filter.{name}"), name, condition)
    return found


def attribute_of(attributes: Mapping[str, Attribute], name: Any, field: str) -> Attribute:
    """An attribute of the index.

    Raises:
        RequestError: it has none of that name.
    """
    if not isinstance(name, str) or name not in attributes:
        known = f"choose of {sorted(attributes)}" if attributes else "build it with prerank index --attributes"
        raise RequestError(f"{field}: the index has no attribute {name!r}, {known}", field=field)
    return attributes[name]


def _meeting(attribute: Attribute, name: str, condition: Any) -> np.ndarray:
    field = f"filter.{name}"
    if not isinstance(condition, Mapping):
        condition = {"any": condition}
    if not condition or (unknown := [key for key in condition if key not in _KEYS]):
        received = repr(unknown[0]) if condition else "{}"
        raise RequestError(f"{field}: expected values, or {', '.join(_KEYS)}. Received: {received}", field=field)
    found = np.ones(len(attribute), bool)
    if "any" in condition:
        found &= attribute.having(_named(attribute, condition["any"], field))
    if "not" in condition:
        found &= ~attribute.having(_named(attribute, condition["not"], field))
    if "min" in condition or "max" in condition:
        found &= attribute.having(_between(attribute, condition.get("min"), condition.get("max"), field))
    return found


def _named(attribute: Attribute, wanted: Any, field: str) -> np.ndarray:
    """Which of the attribute's values are named, (K,) bool."""
    values = list(wanted) if is_array(wanted) or isinstance(wanted, set | frozenset) else [wanted]
    found = np.zeros(len(attribute.values), bool)
    named = []
    for value in values:
        try:
            one = read(value, attribute.kind)
        except WrongValueError as error:
            message = f"{field}: a value has to be {error.expected}. Received: {short(value)}"
            raise RequestError(message, field=field) from error
        if one is None:
            found |= attribute.missing
        else:
            named.append(one)
    if named:
        found |= np.isin(
            attribute.values, np.array(named, attribute.values.dtype if attribute.kind != "text" else None)
        )
    return found


def _between(attribute: Attribute, least: Any, most: Any, field: str) -> np.ndarray:
    if attribute.kind == "text":
        raise RequestError(f"{field}: min and max are for numbers, this attribute has texts", field=field)
    found = ~attribute.missing
    if least is not None:
        found &= attribute.values >= _bound(attribute, least, f"{field}.min")
    if most is not None:
        found &= attribute.values <= _bound(attribute, most, f"{field}.max")
    return found


def _bound(attribute: Attribute, value: Any, field: str) -> Any:
    """A bound: -1 is a number here, not a missing one."""
    try:
        given = plain(value)
        if attribute.kind == "int" and isinstance(given, int):
            return integer(given, "int")
        number = read(value, "label")
    except WrongValueError as error:
        raise RequestError(f"{field}: expected {error.expected}. Received: {short(value)}", field=field) from error
    if number is None:
        raise RequestError(f"{field}: expected a number. Received: {short(value)}", field=field)
    return np.float32(number) if attribute.kind == "number" else number
