"""What a request says of a user and of items, checked, as arrays that the towers take."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prerank.arrays import array, elements, is_array
from prerank.errors import RequestError
from prerank.values import KINDS, MISSING, WrongValueError, read, short

User = Mapping[str, Any]
_NUMPY: dict[str, Any] = {"int64": np.int64, "string": np.str_, "float32": np.float32}


class UserInputs:
    """Turns users, as dicts of raw values, into the arrays of the user tower, by the contract of values.

    A feature may be left out if `features.json` gives it a default, which then counts; the model itself applies the
    defaults of numbers. Of a sequence with a limit the last values count.

    Args:
        fields: the user's inputs as `features.json` describes them.
        side: "user", or "item" where an item asks for users.
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]], side: str = "user"):
        self._fields = fields
        self._side = side
        self._names = {field["name"] for field in fields}

    def arrays(self, users: Sequence[User]) -> list[np.ndarray]:
        """One array a field, (U,) or (U, L), in the fields' order.

        Raises:
            RequestError: a feature is missing, unknown, of a wrong type or out of range.
        """
        for number, user in enumerate(users):
            who, where = _who(number, users, self._side), _field(number, users, self._side)
            if not isinstance(user, Mapping):
                raise RequestError(f"{who}: expected features by name. Received: {user!r}", field=where)
            if unknown := [name for name in user if name not in self._names]:
                message = f"{who}: there is no {self._side} feature {unknown[0]!r}, choose of {sorted(self._names)}"
                raise RequestError(message, field=f"{where}.{unknown[0]}")
        return [_column(field, users, self._side) for field in self._fields]


def _who(number: int, users: Sequence[User], side: str) -> str:
    return side if len(users) == 1 else f"{side} {number + 1}"


def _field(number: int, users: Sequence[User], side: str) -> str:
    return side if len(users) == 1 else f"{side}s.{number}"


def _column(field: Mapping[str, Any], users: Sequence[User], side: str) -> np.ndarray:
    kind, dtype, name = KINDS[field["dtype"]], _NUMPY[field["dtype"]], field["name"]
    missing = MISSING[kind]
    rows: list[Any] = []
    for number, user in enumerate(users):
        if name not in user and "default" not in field:
            message = f"{_who(number, users, side)}: feature {name!r} is missing"
            raise RequestError(message, field=f"{_field(number, users, side)}.{name}")
        value = user.get(name)
        try:
            if field["kind"] == "sequence":
                rows.append(elements(value, kind, field.get("limit", 0), field.get("separator", "")))
            else:
                found = read(value, kind)
                rows.append(missing if found is None else found)
        except WrongValueError as error:
            message = f"{_who(number, users, side)}: feature {name!r} {_is(error)}"
            raise RequestError(message, field=f"{_field(number, users, side)}.{name}") from error
    if field["kind"] != "sequence":
        return np.array(rows, dtype)
    padded = np.full((len(rows), max(map(len, rows), default=0)), missing, object if dtype is np.str_ else dtype)
    for row, values in enumerate(rows):
        padded[row, : len(values)] = values
    return padded.astype(dtype)


def _is(error: WrongValueError) -> str:
    return f"has to be {error.expected}. Received: {short(error.value)}"


def item_ids(values: Any, kind: str, name: str = "candidates") -> np.ndarray:
    """Item ids (N,) of a request, int64 or, of the kind "string", objects.

    Args:
        values: ids in a list, a set, or an array of NumPy, pandas or Arrow; or one id.
        kind: the raw type of the item id, "int64" or "string".
        name: what the ids are, for messages.

    Raises:
        RequestError: one is null or no id; names its place, from 1.
    """
    if isinstance(values, set | frozenset):
        values = list(values)
    elif not is_array(values):
        values = [values]  # one id; or a table, which is none and is not to be taken for its columns' names
    try:
        return array(values, KINDS[kind], required=True)
    except WrongValueError as error:
        where = "" if error.place is None else f", place {error.place + 1}"
        raise RequestError(f"{name}: an item id {_is(error)}{where}", field=name) from error
