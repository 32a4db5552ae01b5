"""Calibrated probabilities of logits: a map that was fitted on the validation part and is stored in `features.json`."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, with_config
from typing_extensions import TypedDict

from prerank.errors import InputError
from prerank.kernels.entire_space import log_sigmoid
from prerank.reading import RECORD

MOST_KNOTS = 200
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Knots = Annotated[list[_Number], Field(min_length=1, max_length=MOST_KNOTS)]


@with_config(RECORD)
class Temperature(TypedDict):
    """`σ(logit / temperature)` (Guo et al., ICML 2017)."""

    kind: Literal["temperature"]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]


@with_config(RECORD)
class Isotonic(TypedDict):
    """Linear between knots, and constant beyond them (Zadrozny and Elkan, KDD 2002).

    Logits ascend, probabilities do not descend; all are numbers of 32 bits.
    """

    kind: Literal["isotonic"]
    logits: _Knots
    probabilities: _Knots


Map = Annotated[Temperature | Isotonic, Field(discriminator="kind")]


def check(found: Temperature | Isotonic) -> None:
    """See that the knots of a map are in order.

    Raises:
        InputError: they are not.
    """
    if found["kind"] == "isotonic":
        logits, probabilities = found["logits"], found["probabilities"]
        ordered = all(a < b for a, b in zip(logits, logits[1:], strict=False))
        ordered = ordered and all(a <= b for a, b in zip(probabilities, probabilities[1:], strict=False))
        if not ordered or len(logits) != len(probabilities) or not 0 <= probabilities[0] <= probabilities[-1] <= 1:
            raise InputError("calibration: expected ascending logits with as many ascending probabilities from 0 to 1")


class Probabilities:
    """The probability of a positive, from what a kernel gives.

    Args:
        calibration: the map of `features.json`, or None for the logistic function.
    """

    def __init__(self, calibration: Temperature | Isotonic | None = None):
        self._map = calibration
        if calibration is not None and calibration["kind"] == "isotonic":
            self._knots = np.array(calibration["logits"]), np.array(calibration["probabilities"])

    def of(self, logits: np.ndarray, logs: np.ndarray | None = None) -> np.ndarray:
        """Probabilities (n,) float32.

        Args:
            logits: (n,) by which items rank.
            logs: (n,), of a model with tasks the logs of the probability before calibration; then it is about these.
        """
        if self._map is None:
            return _sigmoid(logits) if logs is None else np.exp(logs)
        log_odds = logits if logs is None else _log_odds(logs)
        if self._map["kind"] == "temperature":
            return _sigmoid((log_odds / np.float32(self._map["temperature"])).astype(np.float32))
        found = np.interp(log_odds, *self._knots)
        return np.where(np.isnan(log_odds), np.nan, found).astype(np.float32)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """The logistic function (n,) of float32 logits, exact to about 1e-6 of itself for small probabilities too."""
    found = np.empty_like(logits)
    log_sigmoid(logits, found)
    return np.exp(found, out=found)


def _log_odds(logs: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of log p, at most about 16, as p is 1 in 32 bits beyond that."""
    rest = np.maximum(-np.expm1(logs.astype(np.float64)), np.finfo(np.float32).eps / 2)
    return (logs - np.log(rest)).astype(np.float32)
