"""Means over requests, with intervals over users: bootstrap samples of as many users as there are.

The samples are the same for all that is judged on the same requests, so that differences and ratios are paired.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
_SEED = 20_250_103
_BOUNDS = (2.5, 97.5)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over requests.

    Attributes:
        mean: of the requests for which there is a value; NaN if there is none.
        low, high: 95 % interval over users.
        requests: for how many requests there is a value.
    """

    mean: float
    low: float
    high: float
    requests: int


class Users:
    """Bootstrap samples of the users of some requests.

    Args:
        groups: number of each request's user. Shape (R,).
        samples: how many samples.
    """

    def __init__(self, groups: np.ndarray, samples: int = SAMPLES):
        self._distinct, self._user = np.unique(groups, return_inverse=True)
        count = len(self._distinct)
        drawn = np.random.default_rng(_SEED).integers(0, count, (samples, count))
        self._weights = np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)

    def _means(self, values: Floats) -> tuple[float, Floats, int]:
        """The mean of values (R,) over requests, its bootstrap replicates (samples,), and how many values there are."""
        known = ~np.isnan(values)
        sums = np.bincount(self._user, np.where(known, values, 0.0), minlength=len(self._distinct))
        counts = np.bincount(self._user, known.astype(np.float64), minlength=len(self._distinct))
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (self._weights @ sums) / (self._weights @ counts)
            return float(np.divide(sums.sum(), counts.sum())), replicates, int(counts.sum())

    def mean(self, values: Floats) -> Estimate:
        """The mean of values (R,), NaN left out."""
        mean, replicates, count = self._means(values)
        return _estimate(mean, replicates, count)

    def ratio(self, values: Floats, others: Floats) -> Estimate:
        """The mean of values (R,) as a multiple of the mean of others (R,)."""
        mean, replicates, count = self._means(values)
        base, of_base, _ = self._means(others)
        with np.errstate(invalid="ignore", divide="ignore"):
            return _estimate(float(np.divide(mean, base)), replicates / of_base, count)


def _estimate(mean: float, replicates: Floats, count: int) -> Estimate:
    known = replicates[np.isfinite(replicates)]
    low, high = np.percentile(known, _BOUNDS) if len(known) else (np.nan, np.nan)
    return Estimate(mean, float(low), float(high), count)
