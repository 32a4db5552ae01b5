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

    def means(self, columns: Floats) -> list[Estimate]:
        """The mean of each of some columns (R, M), NaN left out."""
        means, replicates, counts = self._means(columns)
        return [_estimate(*found) for found in zip(means.tolist(), replicates.T, counts.tolist(), strict=True)]

    def mean(self, values: Floats) -> Estimate:
        """The mean of values (R,), NaN left out."""
        return self.means(values[:, np.newaxis])[0]

    def ratio(self, values: Floats, others: Floats) -> Estimate:
        """The mean of values (R,) as a multiple of the mean of others (R,)."""
        means, replicates, counts = self._means(np.stack([values, others], axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = float(np.divide(means[0], means[1]))
            return _estimate(ratio, replicates[:, 0] / replicates[:, 1], int(counts[0]))

    def _means(self, columns: Floats) -> tuple[Floats, Floats, Floats]:
        """Means of columns (R, M), (M,), their replicates, (samples, M), and how many values each has, (M,)."""
        known = ~np.isnan(columns)
        sums, counts = (np.zeros((len(self._distinct), columns.shape[1])) for _ in range(2))
        np.add.at(sums, self._user, np.where(known, columns, 0.0))
        np.add.at(counts, self._user, known)
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (self._weights @ sums) / (self._weights @ counts)
            return sums.sum(axis=0) / counts.sum(axis=0), replicates, counts.sum(axis=0)


def _estimate(mean: float, replicates: Floats, count: float) -> Estimate:
    known = replicates[np.isfinite(replicates)]
    low, high = np.percentile(known, _BOUNDS) if len(known) else (np.nan, np.nan)
    return Estimate(mean, float(low), float(high), int(count))
