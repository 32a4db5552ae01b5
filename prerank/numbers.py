"""Integers and numbers as flags, lines and cells spell them: decimal, in ASCII, finite, within bounds."""

import math
import re

from prerank.errors import InputError

SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""Bounds of an integer of 64 bits."""
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][-+]?[0-9]{1,3})?")


def integer(text: str, low: int = SMALLEST, high: int = LARGEST) -> int:
    """An integer of 64 bits from `low` to `high`, in decimal ASCII digits without separators, spaces or leading zeros.

    Raises:
        InputError: the text spells none.
    """
    if not _INTEGER.fullmatch(text) or not low <= (value := int(text)) <= high:
        raise InputError(f"expected an integer{_bounds(low, high)}. Received: {text!r}")
    return value


def number(text: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number from `low` to `high`, in decimal ASCII digits, such as 3, -0.5 or 1e-3.

    Raises:
        InputError: the text spells none.
    """
    if not _NUMBER.fullmatch(text) or not low <= (value := float(text)) <= high or math.isinf(value):
        raise InputError(f"expected a finite decimal number{_bounds(low, high)}. Received: {text!r}")
    return value


def _bounds(low: float, high: float) -> str:
    least = "" if low in (SMALLEST, -math.inf) else f" from {low}"
    most = "" if high in (LARGEST, math.inf) else f" to {high}"
    return least + most or (" of 64 bits" if high == LARGEST else "")
