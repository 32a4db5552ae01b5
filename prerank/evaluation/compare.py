"""Two models on the same rows: differences of metrics, with intervals over resampled users."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prerank.evaluation import metrics
from prerank.evaluation.rows import Rows
from prerank.evaluation.slices import slices

_LEVEL = 95


def compare(
    first: dict[str, np.ndarray],
    second: dict[str, np.ndarray],
    rows: Rows,
    by: Sequence[str] = (),
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """By slice and metric: both values, their difference, and its interval of 95 %.

    Users are drawn with replacement, all rows of a user together, the same draws for both models (Efron and
    Tibshirani, 1993, chapter 13: percentiles).

    Args:
        first: outputs of one model, (n,) by name.
        second: those of the other.
        rows: the rows.
        by: columns whose values are slices.
        resamples: how many draws.
        seed: of the draws.
    """
    parts = [("all rows", np.ones(len(rows), bool))]
    parts += [(f"{name}={value}", chosen) for name, value, chosen in slices(rows, by)]
    return {name: _compare(first, second, rows, np.flatnonzero(chosen), resamples, seed) for name, chosen in parts}


def _auc(outputs: dict[str, np.ndarray], labels: np.ndarray, weights: np.ndarray) -> float:
    return metrics.auc(labels, outputs["logit"], weights)


def _log_loss(outputs: dict[str, np.ndarray], labels: np.ndarray, weights: np.ndarray) -> float:
    return metrics.log_loss(labels, outputs["probability"], weights)


def _pcoc(outputs: dict[str, np.ndarray], labels: np.ndarray, weights: np.ndarray) -> float:
    return metrics.pcoc(labels, outputs["probability"], weights)


_METRICS: dict[str, Callable[..., float]] = {"auc": _auc, "logloss": _log_loss, "pcoc": _pcoc}


def _compare(
    first: dict[str, np.ndarray],
    second: dict[str, np.ndarray],
    rows: Rows,
    chosen: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    labels = rows.labels[chosen]
    weights = np.ones(len(chosen)) if rows.weights is None else rows.weights[chosen]
    both = [{name: values[chosen] for name, values in outputs.items()} for outputs in (first, second)]
    names, user = np.unique(rows.users[chosen], return_inverse=True)
    random = np.random.default_rng(seed)
    draws = [
        np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[user] for _ in range(resamples)
    ]
    found: dict[str, Any] = {"rows": len(chosen), "users": len(names)}
    for name, metric in _METRICS.items():
        values = [metric(outputs, labels, weights) for outputs in both]
        differences = np.array(
            [metric(both[1], labels, weights * n) - metric(both[0], labels, weights * n) for n in draws]
        )
        known = differences[~np.isnan(differences)]
        edges = (
            np.percentile(known, [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2]).tolist() if len(known) else [np.nan, np.nan]
        )
        found[name] = {"first": values[0], "second": values[1], "difference": values[1] - values[0], "interval": edges}
    return found
