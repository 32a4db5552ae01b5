"""What the generators of planted preferences share: power laws, and the true probabilities of the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import expit

from preprocess.generated import TRUE_PROBABILITIES
from prerank.errors import InputError

PROBABILITIES = TRUE_PROBABILITIES
"""Beside a data set's files: a line a row, with its label and its `probability`, float64."""

_BINS = 1 << 20
_BLOCK = 1 << 18

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def by_power_law(uniform: Floats, count: int, exponent: float = 1.0) -> Integers:
    """Uniform numbers as places below `count`, place i with a weight of about 1 / (i + 3) ** exponent."""
    weights = np.cumsum((np.arange(count) + 3.0) ** -exponent)
    return np.searchsorted(weights / weights[-1], uniform)


def shares(total: int, weights: Floats) -> Integers:
    """`total` parted by weight, each at least 1. Shape as `weights`, which are at most `total` many."""
    ends = np.floor(np.cumsum(weights) / weights.sum() * (total - len(weights)) + 0.5).astype(np.int64)
    ends[-1] = total - len(weights)
    return 1 + np.diff(ends, prepend=0)


def offset(log_odds: Floats, share: float) -> float:
    """What has to be added to log odds to bring the mean probability to a share, by bisection."""
    low, high = -100.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(log_odds + middle).mean() < share else (low, middle)
    return low


def ceiling_auc(folder: Path, label: str) -> float:
    """AUC of the true probabilities over all rows of a generated folder: no model can expect more.

    Probabilities are counted in 2^20 bins, so memory does not grow with the rows.

    Args:
        folder: holds the file :data:`PROBABILITIES`.
        label: its column with 0 or 1.

    Raises:
        InputError: the folder was not generated, or a file cannot be read.
    """
    counts = np.zeros((2, _BINS), np.int64)
    try:
        with pq.ParquetFile(folder / PROBABILITIES) as file:
            for batch in file.iter_batches(_BLOCK, columns=[label, "probability"]):
                labels, place = batch[label].to_numpy(), (batch["probability"].to_numpy() * _BINS).astype(np.int64)
                counts += np.stack([np.bincount(place[labels == value], minlength=_BINS) for value in (0, 1)])
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=folder) from error
    negatives, positives = counts
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below / (float(positives.sum()) * negatives.sum()))
