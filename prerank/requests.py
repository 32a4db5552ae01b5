"""What a request says of a user and of items, checked, as arrays that the towers take."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from prerank.errors import RequestError

User = Mapping[str, Any]
_INT64 = np.iinfo(np.int64)
_NO_SEQUENCES = (str, bytes, bytearray, memoryview)
_NUL = "\0"
"""Refused in texts: NumPy cuts it off their ends, and some data sets' files cannot hold it."""


class UserInputs:
    """Turns users, as dicts of raw values, into the arrays of the user tower.

    None is a value that is known to be missing. A feature may be left out if `features.json` gives it a default, which
    then counts; the model itself applies the defaults of numbers.

    Args:
        fields: the user's inputs as `features.json` describes them.
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]]):
        self._fields = fields
        self._names = {field["name"] for field in fields}

    def arrays(self, users: Sequence[User]) -> list[np.ndarray]:
        """One array a field, (U,) or (U, L), in the fields' order.

        Raises:
            RequestError: a feature is missing, unknown, or of a wrong type, or a number is NaN or infinite.
        """
        for user in users:
            if not isinstance(user, Mapping):
                raise RequestError(f"user: expected features by name. Received: {user!r}")
            if unknown := [name for name in user if name not in self._names]:
                raise RequestError(f"user: there is no user feature {unknown[0]!r}, choose of {sorted(self._names)}")
        return [_column(field, [_value(field, user) for user in users]) for field in self._fields]


def _value(field: Mapping[str, Any], user: User) -> Any:
    name = field["name"]
    if name in user:
        return user[name]
    if "default" not in field:
        raise RequestError(f"user: feature {name!r} is missing")
    return None


def _column(field: Mapping[str, Any], values: list[Any]) -> np.ndarray:
    check = _CHECKS[field["dtype"]]
    if field["kind"] != "sequence":
        missing = math.nan if field["dtype"] == "float32" else field["missing"]
        checked = [missing if value is None else check(field["name"], value) for value in values]
        return np.array(checked, _NUMPY[field["dtype"]])
    rows = [_elements(field["name"], value, check) for value in values]
    length = max(map(len, rows), default=0)
    padded = [row + [field["missing"]] * (length - len(row)) for row in rows]
    return np.array(padded, _NUMPY[field["dtype"]]).reshape(len(rows), length)


def _elements(name: str, value: Any, check: Callable[[str, Any], Any]) -> list[Any]:
    if value is None:
        return []
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if scalar or isinstance(value, _NO_SEQUENCES) or not isinstance(value, Sequence | np.ndarray):
        raise RequestError(f"user: feature {name!r} is a sequence. Received: {value!r}")
    return [check(name, element) for element in value]


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise RequestError(f"user: feature {name!r} is an integer. Received: {value!r}")
    try:
        number = operator.index(value)
    except TypeError as error:
        raise RequestError(f"user: feature {name!r} is an integer. Received: {value!r}") from error
    if not _INT64.min <= number <= _INT64.max:
        raise RequestError(f"user: feature {name!r} is an integer of 64 bits. Received: {value!r}")
    return number


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError(f"user: feature {name!r} is a text. Received: {value!r}")
    if not _is_unicode(value):
        raise RequestError(f"user: feature {name!r} has half a surrogate pair, no Unicode. Received: {value!r}")
    if _NUL in value:
        raise RequestError(f"user: feature {name!r} has a NUL character. Received: {value!r}")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text_id(value: Any) -> bool:
    return isinstance(value, str) and _NUL not in value and _is_unicode(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise RequestError(f"user: feature {name!r} is a number. Received: {value!r}")
    try:
        with np.errstate(over="ignore"):
            number = float(np.float32(value))
    except OverflowError as error:
        raise RequestError(f"user: feature {name!r} must be finite. Received: {value!r}") from error
    if not math.isfinite(number):
        raise RequestError(f"user: feature {name!r} must be finite; leave it out if it is missing. Received: {value!r}")
    return number


_CHECKS: dict[str, Callable[[str, Any], Any]] = {"int64": _integer, "string": _text, "float32": _number}
_NUMPY: dict[str, Any] = {"int64": np.int64, "string": np.str_, "float32": np.float32}


def item_ids(values: Any, kind: str, name: str = "candidates") -> np.ndarray:
    """Item ids (N,) of a request, int64 or, of the kind "string", objects.

    Args:
        values: a sequence, array, pandas Series or Index, or Arrow array of integers or of texts.
        kind: the raw type of the item id, "int64" or "string".
        name: what the ids are, for messages.

    Raises:
        RequestError: there is none, or one is missing, of another type or beyond 64 bits.
    """
    items = _sequence(values)
    if len(items) == 0:
        raise RequestError(f"{name}: empty, expected at least one item id")
    found = _text_ids(items) if kind == "string" else _integer_ids(items)
    if found is not None:
        return found
    expected, is_right = ("a text without NUL", _is_text_id) if kind == "string" else ("an integer of 64 bits", _is_id)
    given = _as_given(values, items)
    wrong = [value for value in given if not is_right(value)]
    raise RequestError(f"{name}: an item id is {expected}. Received: {(wrong or given)[0]!r}")


def _sequence(values: Any) -> Sequence[Any] | np.ndarray:
    """What is no sequence counts as one element."""
    if isinstance(values, set | frozenset):
        return list(values)
    if isinstance(values, _NO_SEQUENCES):
        return [values]
    if hasattr(values, "__array__"):  # arrays and numbers of NumPy, pandas and Arrow, none of which is imported here
        return np.atleast_1d(np.asarray(values))
    return values if isinstance(values, Sequence) else [values]


def _as_given(values: Any, items: Sequence[Any] | np.ndarray) -> list[Any]:
    """The elements for a message; as an array, integers of which one is missing are floats."""
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    is_series = hasattr(values, "__array__") and isinstance(values, Iterable) and not isinstance(values, np.ndarray)
    return list(values if is_series else items)


def _text_ids(items: Sequence[Any] | np.ndarray) -> np.ndarray | None:
    """Texts as objects, None if they are not."""
    if isinstance(items, np.ndarray):
        if items.ndim != 1:
            return None
        items = items.tolist()
    if not all(isinstance(value, str) for value in items):
        return None
    text = "".join(items)
    if _NUL in text or not _is_unicode(text):
        return None
    found = np.empty(len(items), object)
    found[:] = items
    return found


def _integer_ids(items: Sequence[Any] | np.ndarray) -> np.ndarray | None:
    """Integers as int64, None if they are not."""
    if not isinstance(items, np.ndarray) or items.dtype == object:
        items = items.tolist() if isinstance(items, np.ndarray) else items
        if {bool, np.bool_} & set(map(type, items)):  # NumPy takes it for 0 or 1 among integers
            return None
    try:
        found = np.asarray(items)
    except ValueError:  # of several lengths
        return None
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.max() > _INT64.max:
        return None
    return found.astype(np.int64, copy=False)


def _is_id(value: Any) -> bool:
    return bool(
        isinstance(value, int | np.integer) and not isinstance(value, bool) and _INT64.min <= value <= _INT64.max
    )
