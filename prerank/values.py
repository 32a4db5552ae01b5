"""The contract of raw values: which spellings are a value, which are missing, and what each becomes.

Every door takes its rules from here: files in csv, Parquet and JSON lines, catalogues, candidates, requests. Python
values are read by :func:`read` and :mod:`prerank.arrays`, columns of Arrow by :mod:`prerank.columns`, and SQL engines
use the patterns and bounds below. docs/values.md has the rules as a table.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa

Kind = Literal["text", "int", "number", "label", "seconds"]
"""What a column holds. "text" and "int": ids and categories; "number": a feature; "label": a number, of which -1 is a
value; "seconds": a moment, in seconds since 1970-01-01 UTC."""
KINDS: dict[str, Kind] = {"string": "text", "int64": "int", "float32": "number"}
"""The kind of a feature's values, by the raw type that the feature specification gives it."""

MISSING_TEXT, MISSING_INTEGER = "", -1
"""The spellings of a missing id. In numbers -1 is missing too, and so is NaN everywhere."""
MISSING: dict[Kind, Any] = {"text": MISSING_TEXT, "int": MISSING_INTEGER, "number": math.nan}
"""What stands for a missing value in the arrays that a model takes."""

PRIOR_ROWS = 5
"""Rows at the training mean label that every mean label starts from."""

INTEGER = "^(?:0|-?[1-9][0-9]{0,18})$"
"""How an integer is spelt: one spelling for each, so that no two ids become one."""
NUMBER = r"^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
"""How a decimal number is spelt."""
NOT_A_NUMBER = "nan"
"""In small or capital letters, the spelling of a missing number."""
SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""The bounds of an integer."""
_MOST_DIGITS = len(str(LARGEST))
TOO_LARGE = 2.0**128 - 2.0**103
"""From this size on a number is infinite in 32 bits."""
EARLIEST, LATEST = -2_208_988_800, 7_258_118_399
"""The bounds of a moment: the years 1900 to 2199. What lies beyond them is no second, but milliseconds or less."""

EXPECTED: dict[Kind, str] = {
    "text": "a text",
    "int": "an integer",
    "number": "a number",
    "label": "a number",
    "seconds": "an integer or a timestamp",
}
"""What a column of a kind has to be, for messages."""
LIST = "a list of values, each "
"""What comes before that of the elements of a sequence."""
_BEYOND: dict[Kind, str] = {
    "text": "a text of Unicode characters, without NUL",
    "int": "an integer of 64 bits",
    "number": "a finite number of 32 bits",
    "label": "a finite number",
    "seconds": "a time from 1900 to 2199: does its unit fit",
}
"""What it has to be where its form is right, and the value is still out of range."""
_NULLS = ("NAType", "NaTType", "MaskedConstant")
"""Types of missing values of pandas and of masked arrays, by name: pandas need not be installed."""


class WrongValueError(ValueError):
    """A raw value that its kind does not take.

    Args:
        expected: what was expected.
        value: what was found.
        place: where it lies in its column, from 0; None for a single value.
    """

    def __init__(self, expected: str, value: Any, place: int | None = None):
        super().__init__(f"{expected} expected. Received: {short(value)}")
        self.expected, self.value, self.place = expected, value, place


def short(value: Any) -> str:
    """A value as a message shows it, in one line of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def missing(value: Any) -> str:
    """What is wrong with a value that may not be missing, for a message that begins with its name."""
    shown = "null" if value is None else "empty" if value == MISSING_TEXT else str(value)
    return f"is {shown}, and may not be missing"


def wrong(kind: Kind, value: Any, place: int | None = None, *, beyond: bool = False) -> WrongValueError:
    """The error of a value of another kind, or of one of its form but `beyond` its range."""
    return WrongValueError((_BEYOND if beyond else EXPECTED)[kind], value, place)


def read(value: Any, kind: Kind, per_second: int = 1) -> Any:
    """One Python, NumPy, pandas or Arrow value as its kind has it, or None if it is missing.

    Args:
        value: the raw value.
        kind: what it has to be.
        per_second: units of an integer time in a second.

    Raises:
        WrongValueError: it is no value of the kind, or out of range.
    """
    found = plain(value)
    if found is None:
        return None
    if kind == "text":
        return _text(found)
    if kind == "int":
        number = integer(found, kind, value)
        return None if number == MISSING_INTEGER else number
    if kind == "seconds":
        return _seconds(found, per_second, value)
    return _number(found, kind)


def plain(value: Any) -> Any:
    """A value as Python has it: NumPy's and Arrow's scalars unpacked, bytes as text, None for every null and NaN.

    Raises:
        WrongValueError: bytes that are no text.
    """
    if isinstance(value, str | int):
        return str(value) if isinstance(value, np.str_) else value
    if value is None or type(value).__name__ in _NULLS:
        return None
    if isinstance(value, pa.Scalar):
        return plain(value.as_py())
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise wrong("text", value, beyond=True) from error
    if isinstance(value, np.datetime64 | np.timedelta64) and np.isnat(value):
        return None
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        # NumPy's item of a long double is a long double again; Python has no such number.
        known = value.dtype.kind in "biuSU" or (value.dtype.kind == "f" and value.dtype.itemsize <= 8)
        return plain(value.item()) if known else value
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    if isinstance(value, float):
        return None if value != value else value
    return value


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise wrong("text", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise wrong("text", value, beyond=True) from error
    if "\0" in value:
        raise wrong("text", value, beyond=True)
    return value or None


def integer(value: Any, kind: Kind, raw: Any = None) -> int | None:
    """What :func:`plain` gave of a value as an integer, -1 as it is, or None if it is missing.

    A float must be whole, and of a size at which its type still tells neighbours apart.

    Raises:
        WrongValueError: it is no integer, or out of range.
    """
    if isinstance(value, str):
        if not value:
            return None
        if not re.fullmatch(INTEGER, value):
            raise wrong(kind, value)
        number = int(value)
    elif isinstance(value, float):
        digits = np.finfo(_float_type(raw)).nmant
        if not value.is_integer() or abs(value) > 2.0 ** (digits + 1):
            raise wrong(kind, value)
        number = int(value)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise wrong(kind, value)
        if value.adjusted() >= _MOST_DIGITS:  # before it is written out, which may take all memory
            raise wrong(kind, value, beyond=True)
        if value != int(value):
            raise wrong(kind, value)
        number = int(value)
    elif isinstance(value, int):
        number = int(value)
    else:
        raise wrong(kind, value)
    if not SMALLEST <= number <= LARGEST:
        raise wrong(kind, value, beyond=True)
    return number


def _float_type(raw: Any) -> Any:
    """The type of NumPy that tells floats apart as well as a raw float's own."""
    if isinstance(raw, pa.Scalar) and pa.types.is_floating(raw.type):
        return raw.type.to_pandas_dtype()
    return raw.dtype if isinstance(raw, np.floating) else np.float64


def _number(value: Any, kind: Kind) -> float | None:
    if isinstance(value, str):
        if not value or value.lower() == NOT_A_NUMBER:
            return None
        if not re.fullmatch(NUMBER, value):
            raise wrong(kind, value)
    elif not isinstance(value, int | float | Decimal):
        raise wrong(kind, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) < (math.inf if kind == "label" else TOO_LARGE):
        raise wrong(kind, value, beyond=True)
    if kind == "label":
        return number
    number = float(np.float32(number))
    return None if number == MISSING_INTEGER else number


def _seconds(value: Any, per_second: int, raw: Any) -> int | None:
    number = integer(value, "seconds", raw)
    if number is None or number == MISSING_INTEGER:
        return None
    if not EARLIEST <= number // per_second <= LATEST:
        raise wrong("seconds", value, beyond=True)
    return number // per_second
