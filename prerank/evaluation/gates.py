"""Bounds that a model has to keep to before it goes on, such as `auc=0.72`."""

import math
from collections.abc import Mapping

from prerank.errors import InputError
from prerank.numbers import number

Gates = dict[str, float]


def gates(text: str) -> Gates:
    """Bounds by metric of `auc=0.72,gauc=0.6`.

    Raises:
        InputError: the text spells none.
    """
    found: Gates = {}
    for part in text.split(","):
        name, equals, bound = part.partition("=")
        if not equals or not name:
            raise InputError(f"expected METRIC=NUMBER, comma-separated. Received: {text!r}")
        found[name] = number(bound)
    return found


def failures(measured: Mapping[str, float], below: Gates, above: Gates) -> list[str]:
    """A line for each bound that a metric does not keep to; one that does not exist keeps to none.

    Raises:
        InputError: there is no such metric.
    """
    lines = []
    for flag, bounds, sign, side in (("--fail_below", below, 1, "below"), ("--fail_above", above, -1, "above")):
        for name, bound in bounds.items():
            if name not in measured:
                raise InputError(f"{flag}: there is no metric {name!r}, choose of {', '.join(measured)}")
            value = measured[name]
            if math.isnan(value) or sign * value < sign * bound:
                lines.append(
                    f"{name} {value:.4f} is {side} {bound:g}" if not math.isnan(value) else f"{name} has no value"
                )
    return lines
