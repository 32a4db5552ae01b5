"""Bootstrap over users: metrics of a run on the same random samples of the test part's users for every run.

As the samples are common to all runs on the same test part, the differences of two runs' values, or of two models'
means over seeds, are the paired bootstrap of the difference.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prerank.csv_rows import numbers
from prerank.errors import InputError
from training import metrics

SAMPLES = 1000
COLUMNS = ("auc", "gauc")
_SEED = 20_250_101

Floats = NDArray[np.float64]


def replicates(labels: np.ndarray, logits: np.ndarray, users: np.ndarray, samples: int = SAMPLES) -> Floats:
    """AUC and GAUC on samples of as many users as there are, drawn with replacement with all of their rows.

    Args:
        labels: 0 or 1. Shape (rows,), as all three.
        logits: scores.
        users: number of each row's user; the order in which they first occur must be the same for runs to compare.
        samples: how many samples.

    Returns:
        Columns :data:`COLUMNS`, NaN where a sample has one class only. Shape (samples, 2), float64.
    """
    codes, distinct = pd.factorize(users)
    user_auc, user_rows = metrics.user_aucs(labels, logits, users)
    weights = np.where(np.isnan(user_auc), 0.0, user_rows)
    weighted = np.where(np.isnan(user_auc), 0.0, user_auc * user_rows)
    pooled = _WeightedAuc(labels, logits)
    random = np.random.default_rng(_SEED)
    found = np.empty((samples, len(COLUMNS)))
    for number in range(samples):
        counts = np.bincount(random.integers(0, distinct.size, distinct.size), minlength=distinct.size)
        total = counts @ weights
        found[number] = pooled(counts[codes]), (counts @ weighted) / total if total else np.nan
    return found


class _WeightedAuc:
    """AUC of rows that count several times, sorted once.

    Args:
        labels: 0 or 1. Shape (rows,).
        scores: of the rows. Shape (rows,).
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray):
        negatives = np.flatnonzero(labels == 0)
        self._negatives = negatives[np.argsort(scores[negatives], kind="stable")]
        self._positives = np.flatnonzero(labels == 1)
        of_negatives, of_positives = scores[self._negatives], scores[self._positives]
        self._below = np.searchsorted(of_negatives, of_positives, side="left")
        self._to_equal = np.searchsorted(of_negatives, of_positives, side="right")

    def __call__(self, counts: np.ndarray) -> float:
        """The AUC, pairs of equal score counted as one half; `counts` (rows,) says how often each row counts."""
        positives = counts[self._positives].astype(np.float64)
        negatives = np.concatenate([[0.0], np.cumsum(counts[self._negatives], dtype=np.float64)])
        wins = positives @ (negatives[self._below] + negatives[self._to_equal]) / 2
        pairs = positives.sum() * negatives[-1]
        return float(wins / pairs) if pairs else np.nan


def to_csv(values: Floats) -> str:
    """Text of a `bootstrap.csv`, to five digits: a tenth of a seed's noise is ten times as much."""
    lines = [",".join(COLUMNS), *(f"{auc:.5f},{gauc:.5f}" for auc, gauc in values)]
    return "\n".join(lines) + "\n"


def from_csv(text: str, path: Path | None = None) -> Floats:
    """Inverse of :func:`to_csv`.

    Args:
        text: of a `bootstrap.csv`.
        path: where it is from, for messages.

    Raises:
        InputError: it has other columns, or a cell is no number.
    """
    rows = numbers(text, path)
    if any(tuple(row) != COLUMNS for row in rows):
        raise InputError(f"expected the columns {', '.join(COLUMNS)}, with a number in each", path=path)
    return np.array([[row[name] for name in COLUMNS] for row in rows]).reshape(-1, len(COLUMNS))
