"""Many raw values at once, from a list or from an array of whatever library, as a model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from prerank import columns
from prerank.values import MISSING, Kind, WrongValueError, plain, read, wrong


def is_array(value: Any) -> bool:
    """Whether a value is a list or another array of one dimension, of whatever library."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        return False
    if isinstance(value, Sequence):
        return True
    return hasattr(value, "__array__") and hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1


def array(values: Any, kind: Kind, *, required: bool = False) -> np.ndarray:
    """Many raw values as a model takes them.

    Args:
        values: an array of one dimension, see :func:`is_array`.
        kind: what they are: "text", "int" or "number".
        required: a null or a NaN is an error; -1 and '' are not.

    Returns:
        (N,) int64, objects of text, or float64; :data:`MISSING` where a value is missing.

    Raises:
        WrongValueError: one is no value of the kind, with its place.
    """
    if type(values) is np.ndarray and values.dtype == np.int64 and values.ndim == 1 and kind == "int":
        return values  # a masked array is an ndarray too, and holds values that do not count
    column = None if isinstance(values, Sequence) else _as_arrow(values)
    if column is not None:
        return columns.to_numpy(columns.column(column, kind, required=required), kind)
    values = list(values)
    found = _of_ints(values) if kind == "int" else _of_texts(values) if kind == "text" else None
    if found is not None:
        return found
    made, missing = [], MISSING[kind]
    for place, value in enumerate(values):
        try:
            if required and plain(value) is None:
                raise wrong(kind, value)
            one = read(value, kind)
        except WrongValueError as error:
            raise WrongValueError(error.expected, value, place) from error
        made.append(missing if one is None else one)
    if kind == "text":
        return _objects(made)
    return np.array(made, np.int64 if kind == "int" else np.float64)


def _as_arrow(values: Any) -> pa.Array | None:
    """An array of another library as one of Arrow, or None where Arrow takes its values for something else."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind not in "biuf":
        return None
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, KeyError, OverflowError):  # whatever a library's array raises
        return None


def _of_ints(values: list[Any]) -> np.ndarray | None:
    """The fast way for Python's and NumPy's integers; None for a list that holds anything else."""
    try:
        found = np.asarray(values)
    except ValueError:  # lists of several lengths
        return None
    return found.astype(np.int64) if found.ndim == 1 and found.dtype.kind in "bi" else None


def _of_texts(values: list[Any]) -> np.ndarray | None:
    """The fast way for texts; None for a list that holds anything else, or a text that needs a closer look."""
    if not all(type(value) is str for value in values):
        return None
    whole = "".join(values)
    if "\0" in whole or not whole.isascii() and any("\ud800" <= character <= "\udfff" for character in whole):
        return None
    return _objects(values)


def _objects(values: list[Any]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def elements(value: Any, kind: Kind, limit: int = 0, separator: str = "") -> np.ndarray:
    """A sequence as a model takes it: all elements, or the last `limit` of them if it has a limit.

    A missing sequence has no elements. A missing element keeps its place.

    Args:
        value: a list or another array; with a separator also one text, or an integer, which is a text.
        kind: what the elements have to be.
        limit: how many count, 0 for all.
        separator: stands between the elements of a text.

    Raises:
        WrongValueError: it is no sequence, or an element is no value of the kind.
    """
    if isinstance(value, pa.Scalar):
        value = value.values if isinstance(value, pa.ListScalar) else plain(value)
    if value is None or (not is_array(value) and plain(value) is None):
        return array([], kind)
    if not is_array(value):
        if not separator:
            raise WrongValueError("a sequence", value)
        value = _split(value, separator)
    return last(array(value, kind), limit)


def _split(value: Any, separator: str) -> list[str]:
    try:
        text = read(value, "text")
    except WrongValueError as error:
        raise WrongValueError(f"a sequence, or a text with {separator!r} between its values", value) from error
    return [] if text is None else text.split(separator)


def last(values: Any, limit: int) -> Any:
    """The last `limit` of some values, or all if there is no limit."""
    return values[-limit:] if limit else values
