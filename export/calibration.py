"""The calibration map of `features.json` as operations of a graph, as :class:`prerank.calibration.Probabilities`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

_TOP = float(np.finfo(np.float32).eps / 2)


@dataclass(frozen=True)
class Calibrations:
    """The maps from logits to probabilities.

    Attributes:
        ranking: of the output `probability`; None for none.
        tasks: of the outputs `probability_<task>`, by task; None for none.
    """

    ranking: Mapping[str, Any] | None
    tasks: Mapping[str, Mapping[str, Any] | None]


def calibrated(
    outputs: dict[str, tf.Tensor], calibration: Mapping[str, Any] | None, tasks: bool
) -> dict[str, tf.Tensor]:
    """Outputs with a calibrated `probability`.

    Args:
        outputs: by name, (n,) float32; `logit` and `probability` among them.
        calibration: the map, or None to leave them as they are.
        tasks: whether `logit` is of more than `probability`; the map is then about the latter's log-odds.
    """
    if calibration is None:
        return outputs
    logits = outputs["logit"]
    if tasks:
        p = tf.maximum(outputs["probability"], np.finfo(np.float32).tiny)
        logits = tf.math.log(p) - tf.math.log(tf.maximum(1 - p, _TOP))
    return outputs | {"probability": _probabilities(logits, calibration)}


def calibrated_tasks(
    outputs: dict[str, tf.Tensor], calibrations: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, tf.Tensor]:
    """Outputs with a calibrated `probability_<task>` of each task that has a map of its log-odds."""
    maps = {task: calibration for task, calibration in calibrations.items() if calibration is not None}
    found = {f"probability_{task}": _probabilities(outputs[f"logit_{task}"], one) for task, one in maps.items()}
    return outputs | found


def _probabilities(logits: tf.Tensor, calibration: Mapping[str, Any]) -> tf.Tensor:
    if calibration["kind"] == "temperature":
        return tf.sigmoid(logits / np.float32(calibration["temperature"]))
    x, y = (np.array(calibration[name], np.float32) for name in ("logits", "probabilities"))
    if len(x) == 1:
        return tf.fill(tf.shape(logits), y[0])
    # ramps, one for each pair of knots: operations that every runtime has, and ONNX has no search in a sorted list
    shares = (logits[:, tf.newaxis] - x[:-1]) / np.diff(x)
    return y[0] + tf.linalg.matvec(tf.clip_by_value(shares, 0.0, 1.0), np.diff(y))
