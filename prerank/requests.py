"""What a request says of a user and of items, checked, as arrays that the towers take."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from prerank.errors import RequestError

User = Mapping[str, Any]
_INT64 = np.iinfo(np.int64)
_NO_SEQUENCES = (str, bytes, bytearray, memoryview)


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
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
        values: a sequence or array of integers or of texts.
        kind: the raw type of the item id, "int64" or "string".
        name: what the ids are, for messages.

    Raises:
        RequestError: there is none, or one is of another type or beyond 64 bits.
    """
    if isinstance(values, np.ndarray) and values.ndim == 0:
        values = values[np.newaxis]
    elif isinstance(values, _NO_SEQUENCES) or not isinstance(values, Sequence | np.ndarray):
        values = list(values) if isinstance(values, set | frozenset) else [values]
    if len(values) == 0:
        raise RequestError(f"{name}: empty, expected at least one item id")
    if kind == "string":
        if wrong := [value for value in values if not isinstance(value, str) or not _is_unicode(value)]:
            raise RequestError(f"{name}: an item id is a text. Received: {wrong[0]!r}")
        return np.asarray(values, object)
    try:
        found = np.asarray(values)
    except ValueError as error:  # of several lengths
        raise RequestError(f"{name}: an item id is an integer: {error}") from error
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.max() > _INT64.max:
        wrong = [value for value in values if not _is_id(value)]
        raise RequestError(f"{name}: an item id is an integer of 64 bits. Received: {(wrong or list(values))[0]!r}")
    return found.astype(np.int64, copy=False)


def _is_id(value: Any) -> bool:
    return bool(
        isinstance(value, int | np.integer) and not isinstance(value, bool) and _INT64.min <= value <= _INT64.max
    )
