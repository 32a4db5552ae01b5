"""What the metrics of ranked rows share: their checks, and the rows sorted by user and score. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Integers, Floats]:
    """Labels of 0 and 1, and scores, as vectors of one length.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, or a score is NaN.
    """
    y, s = np.asarray(labels), np.asarray(scores)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"labels and scores must be vectors of one length. Received shapes: {y.shape}, {s.shape}")
    if not ((y == 0) | (y == 1)).all():
        raise ValueError(f"labels must be 0 or 1. Received: {np.unique(y)[:5]}")
    if not np.issubdtype(s.dtype, np.floating):
        s = s.astype(np.float64)
    if missing := int(np.isnan(s).sum()):
        raise ValueError(f"scores must be numbers. Received: {missing} NaN of {s.size}")
    return y.astype(np.int64), s


def checked_weights(weights: ArrayLike | None, size: int) -> NDArray[np.float64] | None:
    """Weights of `size` rows, or None where there are none.

    Raises:
        ValueError: there are more or fewer, or one is negative or not finite.
    """
    if weights is None:
        return None
    w = np.asarray(weights, np.float64)
    if w.shape != (size,):
        raise ValueError(f"labels and weights must have one length. Received: {size}, shape {w.shape}")
    if w.size and not (w.min() >= 0 and np.isfinite(w.max())):
        raise ValueError(f"weights must be 0 or more, and finite. Received: {w.min()} to {w.max()}")
    return w


@dataclass(frozen=True)
class Blocks:
    """Rows sorted by user, then by falling score, cut into blocks of one user and one score.

    Attributes:
        user: user of each block, from 0 up. Shape (blocks,), as all that follow here.
        first: 0-based rank within its user of the block's first row.
        places: how many rows the block has, and so how many places it takes in a ranking.
        rows, positives: the same, and those of them with label 1; each row counts by its weight, if there are weights.
        user_places, user_rows, user_positives: the same for each user. Shape (users,).
        gains: the rows' weights where their label is 1, in the order of users and falling gains; None without weights.
    """

    user: Integers
    first: Integers
    places: Integers
    rows: NDArray[Any]
    positives: NDArray[Any]
    user_places: Integers
    user_rows: NDArray[Any]
    user_positives: NDArray[Any]
    gains: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None) -> Blocks:
        y, s = checked(labels, scores)
        w = checked_weights(weights, y.size)
        codes = pd.factorize(np.asarray(groups))[0].astype(np.int64)
        if codes.shape != y.shape:
            raise ValueError(f"labels and groups must have one length. Received: {y.size}, {codes.size}")
        if (codes < 0).any():
            raise ValueError(f"every row must have a group. Received: {int((codes < 0).sum())} rows without")
        order = np.lexsort((-s, codes))
        y, s, codes = y[order], s[order], codes[order]
        edges = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]) | (s[1:] != s[:-1])][: y.size])
        user, places = codes[edges], np.diff(np.r_[edges, y.size])
        user_places = np.bincount(codes)
        first = edges - (np.cumsum(user_places) - user_places)[user]
        if w is None:
            positives = np.add.reduceat(y, edges) if y.size else y
            user_positives = np.bincount(codes[y == 1], minlength=user_places.size)
            return cls(user, first, places, places, positives, user_places, user_places, user_positives)
        w = w[order]
        gains = w * y
        rows, positives = (np.add.reduceat(values, edges) if y.size else values for values in (w, gains))
        user_rows, user_positives = (np.bincount(codes, values, user_places.size) for values in (w, gains))
        gains = gains[np.lexsort((-gains, codes))]
        return cls(user, first, places, rows, positives, user_places, user_rows, user_positives, gains)

    def per_user(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of a value per block over each user's blocks. Shape (users,)."""
        return np.bincount(self.user, weights=values, minlength=self.user_rows.size).astype(np.float64, copy=False)

    def ideal(self, discounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest discounted gain of each user's first rows, as many as there are discounts. Shape (users,)."""
        k = discounts.size
        if self.gains is None:
            return np.r_[0.0, np.cumsum(discounts)][np.minimum(self.user_positives, k)]
        user = np.repeat(np.arange(self.user_places.size), self.user_places)
        rank = np.arange(user.size) - (np.cumsum(self.user_places) - self.user_places)[user]
        best = rank < k
        gained = self.gains[best] * discounts[rank[best]]
        return np.bincount(user[best], gained, self.user_places.size).astype(np.float64, copy=False)
