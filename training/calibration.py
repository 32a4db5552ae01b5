"""Fits the map from logits to probabilities on the validation part, and measures what it changes. No TensorFlow."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import isotonic_regression

from prerank.calibration import Isotonic, Probabilities, Temperature
from training.metrics import expected_calibration_error, log_loss, pcoc

Method = Literal["none", "temperature", "isotonic"]
_BINS = 100
_LARGEST_LOG = 5.0


def fit(
    method: Literal["temperature", "isotonic"],
    logits: NDArray[Any],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
) -> Temperature | Isotonic:
    """The map that fits rows best.

    Args:
        method: temperature: the T of `σ(logit / T)` with the least cross-entropy; isotonic: the monotone function with
            the least squared error, of at most 100 bins with equally many rows.
        logits: (n,).
        labels: (n,), 0 or 1; both occur.
        weights: (n,), how much each row counts, or None for 1 each.
    """
    x, y = logits.astype(np.float64), labels.astype(np.float64)
    w = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    return _temperature(x, y, w) if method == "temperature" else _isotonic(x, y, w)


def _temperature(x: NDArray[Any], y: NDArray[Any], w: NDArray[Any]) -> Temperature:
    def loss(log_temperature: float) -> float:
        scaled = x * np.exp(-log_temperature)
        return float(w @ (np.logaddexp(0, scaled) - y * scaled))

    found = minimize_scalar(loss, bounds=(-_LARGEST_LOG, _LARGEST_LOG), method="bounded", options={"xatol": 1e-6})
    return {"kind": "temperature", "temperature": float(np.float32(np.exp(found.x)))}


def _isotonic(x: NDArray[Any], y: NDArray[Any], w: NDArray[Any]) -> Isotonic:
    order = np.argsort(x, kind="stable")
    x, y, w = x[order], y[order], w[order]
    # equal logits stay in one bin, so that no two knots have the same place
    edges = np.unique(np.searchsorted(x, x[np.arange(_BINS) * len(x) // _BINS]))
    counts = np.add.reduceat(w, edges)
    kept = counts > 0
    sums, positives = np.add.reduceat(w * x, edges)[kept], np.add.reduceat(w * y, edges)[kept]
    counts = counts[kept]
    # one row of the mean label in each bin: no probability is 0 or 1 for want of rows
    shares = (positives + positives.sum() / counts.sum()) / (counts + 1)
    knots = (sums / counts).astype(np.float32)
    fitted = isotonic_regression(shares, sample_weight=counts).astype(np.float32)
    distinct = np.r_[True, np.diff(knots) > 0]
    return {
        "kind": "isotonic",
        "logits": knots[distinct].astype(float).tolist(),
        "probabilities": fitted[distinct].astype(float).tolist(),
    }


def measured(
    calibration: Temperature | Isotonic,
    logits: NDArray[Any],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
) -> dict[str, float]:
    """ECE, PCOC and log loss of rows before and after a map.

    Args:
        calibration: the map.
        logits: (n,).
        labels: (n,), 0 or 1.
        weights: (n,), or None.
    """
    kinds = {"before": expit(logits.astype(np.float64)), "after": Probabilities(calibration).of(logits)}
    found = {}
    for when, p in kinds.items():
        found[f"ece_{when}"] = expected_calibration_error(labels, p, weights=weights)
        found[f"pcoc_{when}"] = pcoc(labels, p, weights)
        found[f"logloss_{when}"] = log_loss(labels, p, weights)
    return found
