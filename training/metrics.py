"""Metrics of a binary classifier that ranks each user's items. NumPy and scikit-learn alone.

Every function takes one-dimensional arrays of equal length: labels of 0 and 1, scores (any increasing function of the
probability) and groups (the user of each row, integers or strings). No value depends on the order of the rows: rows
with equal scores count by their expectation over all orders of them. No loop runs over users; the cost is one sort.
A value that does not exist (one class alone, no row) is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


class Gauc(NamedTuple):
    """Result of :func:`gauc`.

    Attributes:
        value: mean of the users' AUC, weighted by their rows; NaN if no user has both classes.
        users_left_out: share of the users whose rows have one class alone, in [0, 1]; NaN if there is no user.
        rows_left_out: share of the rows that belong to them, in [0, 1]; NaN if there is no row.
    """

    value: float
    users_left_out: float
    rows_left_out: float


class Ranking(NamedTuple):
    """Result of :func:`ranking_at_k`.

    Attributes:
        ndcg: mean over the users that count of NDCG@k with binary gains.
        recall: mean over them of the share of a user's positives that is among the user's first k rows.
        users: how many users count: more than k rows and at least one positive.
    """

    ndcg: float
    recall: float
    users: int


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
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


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve over all rows, ties counted as one half.

    Returns:
        A value in [0, 1]; NaN if one class alone is present.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, or a score is NaN.
    """
    y, s = _checked(labels, scores)
    if y.size == 0 or y.min() == y.max():
        return math.nan
    return float(roc_auc_score(y, s))


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean cross-entropy in nats, probabilities clipped to `[eps, 1 - eps]` of their own dtype, as scikit-learn does.

    Raises:
        ValueError: as :func:`auc`, or a probability is outside [0, 1].
    """
    y, p = _checked_probabilities(labels, probabilities)
    if y.size == 0:
        return math.nan
    eps = np.finfo(p.dtype).eps
    clipped = np.clip(p, eps, 1 - eps).astype(np.float64)
    return float(-np.log(np.where(y == 1, clipped, 1 - clipped)).mean())


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """Mean over rows of |mean probability - mean label| of the row's bin; `bins` of equal width over [0, 1].

    A probability on an inner edge belongs to the upper bin, 1 to the last. Source: Guo et al., ICML 2017, equation 3.

    Raises:
        ValueError: as :func:`log_loss`.
    """
    y, p = _checked_probabilities(labels, probabilities)
    if y.size == 0:
        return math.nan
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    excess = np.bincount(index, weights=p.astype(np.float64) - y, minlength=bins)
    return float(np.abs(excess).sum() / y.size)


def _checked_probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Integers, Floats]:
    y, p = _checked(labels, probabilities)
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities must lie in [0, 1]. Received: {p.min()} to {p.max()}")
    return y, p


def rela_impr(auc_value: float, base_auc: float) -> float:
    """Relative improvement over a base model in percent, `((AUC - 0.5) / (AUC_base - 0.5) - 1) * 100`.

    Source: Yan et al., ICML 2014. NaN if the base is exactly 0.5.
    """
    if base_auc == 0.5:
        return math.nan
    return ((auc_value - 0.5) / (base_auc - 0.5) - 1) * 100


@dataclass(frozen=True)
class _Blocks:
    """Rows sorted by user, then by falling score, cut into blocks of one user and one score.

    Attributes:
        user: user of each block, from 0 up. Shape (blocks,), as all that follow here.
        first: 0-based rank within its user of the block's first row.
        rows, positives: rows in the block, and those with label 1.
        user_rows, user_positives: the same for each user. Shape (users,).
    """

    user: Integers
    first: Integers
    rows: Integers
    positives: Integers
    user_rows: Integers
    user_positives: Integers

    @classmethod
    def of(cls, labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> _Blocks:
        y, s = _checked(labels, scores)
        codes = pd.factorize(np.asarray(groups))[0].astype(np.int64)
        if codes.shape != y.shape:
            raise ValueError(f"labels and groups must have one length. Received: {y.size}, {codes.size}")
        if (codes < 0).any():
            raise ValueError(f"every row must have a group. Received: {int((codes < 0).sum())} rows without")
        order = np.lexsort((-s, codes))
        y, s, codes = y[order], s[order], codes[order]
        edges = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]) | (s[1:] != s[:-1])][: y.size])
        user, rows = codes[edges], np.diff(np.r_[edges, y.size])
        positives = np.add.reduceat(y, edges) if y.size else y
        user_rows = np.bincount(codes)
        starts = np.cumsum(user_rows) - user_rows
        user_positives = np.bincount(codes[y == 1], minlength=user_rows.size)
        return cls(user, edges - starts[user], rows, positives, user_rows, user_positives)

    def per_user(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of a value per block over each user's blocks. Shape (users,)."""
        return np.bincount(self.user, weights=values, minlength=self.user_rows.size).astype(np.float64, copy=False)


def _user_aucs(blocks: _Blocks) -> NDArray[np.float64]:
    """AUC of each user's rows, NaN for a user with one class alone. Shape (users,)."""
    negatives = blocks.rows - blocks.positives
    user_negatives = blocks.user_rows - blocks.user_positives
    negatives_above = np.cumsum(negatives) - negatives - (np.cumsum(user_negatives) - user_negatives)[blocks.user]
    negatives_below = user_negatives[blocks.user] - negatives_above - negatives
    wins = blocks.per_user(blocks.positives * (negatives_below + 0.5 * negatives))
    pairs = blocks.user_positives.astype(np.float64) * user_negatives
    return np.divide(wins, pairs, out=np.full(pairs.size, math.nan), where=pairs > 0)


def _gauc(blocks: _Blocks) -> Gauc:
    aucs = _user_aucs(blocks)
    both = ~np.isnan(aucs)
    rows, all_rows, users = blocks.user_rows[both], int(blocks.user_rows.sum()), both.size
    value = float(np.average(aucs[both], weights=rows)) if rows.size else math.nan
    if not users:
        return Gauc(value, math.nan, math.nan)
    return Gauc(value, 1 - rows.size / users, 1 - int(rows.sum()) / all_rows)


def user_aucs(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> tuple[NDArray[np.float64], Integers]:
    """AUC and rows of each user, in the order in which users first occur; :func:`gauc` is their mean.

    Returns:
        The AUCs, NaN for a user with one class alone, and the rows. Both of shape (users,).

    Raises:
        ValueError: as :func:`gauc`.
    """
    blocks = _Blocks.of(labels, scores, groups)
    return _user_aucs(blocks), blocks.user_rows


def gauc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> Gauc:
    """Per-user AUC weighted by impressions (rows), users with one class left out and their share stated.

    Source: Zhou et al., KDD 2018, equation 7.

    Raises:
        ValueError: as :func:`auc`, or a row has no group.
    """
    return _gauc(_Blocks.of(labels, scores, groups))


def _ranking_at_k(blocks: _Blocks, k: int) -> Ranking:
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gain_to = np.r_[0.0, np.cumsum(discounts)]
    first, last = np.minimum(blocks.first, k), np.minimum(blocks.first + blocks.rows, k)
    share = blocks.positives / blocks.rows
    counts = (blocks.user_rows > k) & (blocks.user_positives > 0)
    if not counts.any():
        return Ranking(math.nan, math.nan, 0)
    gained = blocks.per_user(share * (gain_to[last] - gain_to[first]))[counts]
    found = blocks.per_user(share * (last - first))[counts]
    positives = blocks.user_positives[counts]
    ideal = gain_to[np.minimum(positives, k)]
    return Ranking(float((gained / ideal).mean()), float((found / positives).mean()), int(counts.sum()))


def ranking_at_k(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10) -> Ranking:
    """NDCG@k and Recall@k over each user's rows, for users with more than k rows and at least one positive.

    Rows of one user with equal scores share the mean label of their block, which gives the expectation over their
    orders: a constant score gains nothing from sorted labels. Recall divides by all of the user's positives, so a user
    with more than k of them cannot reach 1. Source: McSherry and Najork, ECIR 2008 (ties); Järvelin and Kekäläinen,
    TOIS 2002 (NDCG, discount `1 / log2(rank + 1)`).

    Raises:
        ValueError: as :func:`gauc`, or k is below 1.
    """
    return _ranking_at_k(_Blocks.of(labels, scores, groups), k)


def ndcg_at_k(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """NDCG@k of :func:`ranking_at_k`."""
    return ranking_at_k(labels, scores, groups, k).ndcg


def recall_at_k(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Recall@k of :func:`ranking_at_k`."""
    return ranking_at_k(labels, scores, groups, k).recall


def evaluate(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, *, logits: bool = False, k: int = 10
) -> dict[str, float]:
    """Every metric of the protocol, with one sort for all that is per user.

    Args:
        labels: 0 or 1. Shape (rows,).
        scores: probabilities, or logits if `logits` is set, which spares the ties of probabilities that float32
            rounds to 0 or 1. Shape (rows,).
        groups: user of each row. Shape (rows,).
        logits: whether `scores` are logits; probabilities are then their logistic function in float64.
        k: cut-off of NDCG and recall.

    Returns:
        auc, logloss, gauc, gauc_users_left_out, gauc_rows_left_out (shares), ndcg@k, recall@k, ranking_users (count),
        ece, rows, positives. NaN where a value does not exist.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, a score is NaN, a probability is outside [0, 1], a row has
            no group, or k is below 1.
    """
    y, s = _checked(labels, scores)
    probabilities = expit(s.astype(np.float64)) if logits else s
    blocks = _Blocks.of(y, s, groups)
    by_user, ranking = _gauc(blocks), _ranking_at_k(blocks, k)
    return {
        "auc": auc(y, s),
        "logloss": log_loss(y, probabilities),
        "gauc": by_user.value,
        "gauc_users_left_out": by_user.users_left_out,
        "gauc_rows_left_out": by_user.rows_left_out,
        f"ndcg@{k}": ranking.ndcg,
        f"recall@{k}": ranking.recall,
        "ranking_users": ranking.users,
        "ece": expected_calibration_error(y, probabilities),
        "rows": int(y.size),
        "positives": int(y.sum()),
    }
