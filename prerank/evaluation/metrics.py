"""Metrics of a binary classifier that ranks each user's items. NumPy and scikit-learn only.

Every function takes one-dimensional arrays of equal length: labels of 0 and 1, scores (any increasing function of the
probability) and groups (the user of each row, integers or strings). No value depends on the order of the rows: rows
with equal scores count by their expectation over all orders of them. Every function takes weights, too: a row of weight
2 counts as two rows, but takes one place in a ranking. No loop runs over users; the cost is one sort.
A value that does not exist (one class only, no row) is NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from prerank.evaluation.blocks import Blocks, Floats, Integers, checked, checked_weights


class Gauc(NamedTuple):
    """Result of :func:`gauc`.

    Attributes:
        value: mean of the users' AUC, weighted by their rows; NaN if no user has both classes.
        users_left_out: share of the users whose rows have one class only, in [0, 1]; NaN if there is no user.
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


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    if weights is None:
        return float(values.mean()) if values.size else math.nan
    total = weights.sum()
    return float(values @ weights / total) if total > 0 else math.nan


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve over all rows, ties counted as one half.

    With weights a pair of a positive and a negative counts by the product of theirs.

    Returns:
        A value in [0, 1]; NaN if only one class is present, or has a weight.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, a score is NaN, or a weight is negative or not finite.
    """
    y, s = checked(labels, scores)
    w = checked_weights(weights, y.size)
    if w is not None:
        y, s, w = y[w > 0], s[w > 0], w[w > 0]
    if y.size == 0 or y.min() == y.max():
        return math.nan
    return float(roc_auc_score(y, s, sample_weight=w))


def log_loss(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Weighted mean cross-entropy in nats.

    Probabilities are clipped to `[eps, 1 - eps]` of their own dtype, as scikit-learn does.

    Raises:
        ValueError: as :func:`auc`, or a probability is outside [0, 1].
    """
    y, p = _checked_probabilities(labels, probabilities)
    if y.size == 0:
        return math.nan
    eps = np.finfo(p.dtype).eps
    clipped = np.clip(p, eps, 1 - eps).astype(np.float64)
    return -_mean(np.log(np.where(y == 1, clipped, 1 - clipped)), checked_weights(weights, y.size))


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15, weights: ArrayLike | None = None
) -> float:
    """Mean over rows of |mean probability - mean label| of the row's bin; `bins` of equal width over [0, 1].

    All of these means are weighted.

    A probability on an inner edge belongs to the upper bin, 1 to the last. Source: Guo et al., ICML 2017, equation 3.

    Raises:
        ValueError: as :func:`log_loss`.
    """
    y, p = _checked_probabilities(labels, probabilities)
    if y.size == 0:
        return math.nan
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    w = checked_weights(weights, y.size)
    off = p.astype(np.float64) - y
    excess = np.bincount(index, weights=off if w is None else off * w, minlength=bins)
    total = y.size if w is None else w.sum()
    return float(np.abs(excess).sum() / total) if total > 0 else math.nan


def pcoc(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Predicted clicks over observed clicks, Σ p / Σ y: 1 is right, above 1 is too high; NaN without a positive.

    Raises:
        ValueError: as :func:`log_loss`.
    """
    y, p = _checked_probabilities(labels, probabilities)
    w = checked_weights(weights, y.size)
    positives = float(y.sum() if w is None else w @ y)
    predicted = p.astype(np.float64)
    return float(predicted.sum() if w is None else w @ predicted) / positives if positives > 0 else math.nan


def _checked_probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Integers, Floats]:
    y, p = checked(labels, probabilities)
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


def _user_aucs(blocks: Blocks) -> NDArray[np.float64]:
    """AUC of each user's rows, NaN for a user with one class only. Shape (users,)."""
    negatives = np.maximum(blocks.rows - blocks.positives, 0)
    # summed anew: a difference of sums of weights need not be 0 where there is no negative
    user_negatives = np.bincount(blocks.user, negatives, blocks.user_places.size).astype(negatives.dtype)
    negatives_above = np.cumsum(negatives) - negatives - (np.cumsum(user_negatives) - user_negatives)[blocks.user]
    negatives_below = user_negatives[blocks.user] - negatives_above - negatives
    wins = blocks.per_user(blocks.positives * (negatives_below + 0.5 * negatives))
    pairs = blocks.user_positives.astype(np.float64) * user_negatives
    return np.divide(wins, pairs, out=np.full(pairs.size, math.nan), where=pairs > 0)


def _gauc(blocks: Blocks) -> Gauc:
    aucs = _user_aucs(blocks)
    both = ~np.isnan(aucs)
    rows, all_rows, users = blocks.user_rows[both], float(blocks.user_rows.sum()), both.size
    value = float(np.average(aucs[both], weights=rows)) if rows.size else math.nan
    if not users or not all_rows:
        return Gauc(value, math.nan, math.nan)
    return Gauc(value, 1 - rows.size / users, 1 - float(rows.sum()) / all_rows)


def user_aucs(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """AUC and rows (or weight) of each user, in the order in which users first occur; :func:`gauc` is their mean.

    Returns:
        The AUCs, NaN for a user with one class only, and the rows. Both of shape (users,).

    Raises:
        ValueError: as :func:`gauc`.
    """
    blocks = Blocks.of(labels, scores, groups, weights)
    return _user_aucs(blocks), blocks.user_rows


def gauc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None) -> Gauc:
    """Per-user AUC weighted by impressions (rows), users with one class left out and their share stated.

    With weights, a user's impressions are the sum of the rows' weights.

    Source: Zhou et al., KDD 2018, equation 7.

    Raises:
        ValueError: as :func:`auc`, or a row has no group.
    """
    return _gauc(Blocks.of(labels, scores, groups, weights))


def _ranking_at_k(blocks: Blocks, k: int) -> Ranking:
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gain_to = np.r_[0.0, np.cumsum(discounts)]
    first, last = np.minimum(blocks.first, k), np.minimum(blocks.first + blocks.places, k)
    share = blocks.positives / blocks.places
    counts = (blocks.user_places > k) & (blocks.user_positives > 0)
    if not counts.any():
        return Ranking(math.nan, math.nan, 0)
    gained = blocks.per_user(share * (gain_to[last] - gain_to[first]))[counts]
    found = blocks.per_user(share * (last - first))[counts]
    positives = blocks.user_positives[counts]
    ideal = blocks.ideal(discounts)[counts]
    return Ranking(float((gained / ideal).mean()), float((found / positives).mean()), int(counts.sum()))


def ranking_at_k(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10, weights: ArrayLike | None = None
) -> Ranking:
    """NDCG@k and Recall@k over each user's rows, for users with more than k rows and at least one positive.

    Rows of one user with equal scores share the mean label of their block, which gives the expectation over their
    orders: a constant score gains nothing from sorted labels. Recall divides by all of the user's positives, so a user
    with more than k of them cannot reach 1. With weights a positive's gain is its weight, in both. Source: McSherry and
    Najork, ECIR 2008 (ties); Järvelin and Kekäläinen, TOIS 2002 (NDCG, discount `1 / log2(rank + 1)`).

    Raises:
        ValueError: as :func:`gauc`, or k is below 1.
    """
    return _ranking_at_k(Blocks.of(labels, scores, groups, weights), k)


def ndcg_at_k(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10, weights: ArrayLike | None = None
) -> float:
    """NDCG@k of :func:`ranking_at_k`."""
    return ranking_at_k(labels, scores, groups, k, weights).ndcg


def recall_at_k(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10, weights: ArrayLike | None = None
) -> float:
    """Recall@k of :func:`ranking_at_k`."""
    return ranking_at_k(labels, scores, groups, k, weights).recall


def evaluate(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    logits: bool = False,
    k: int = 10,
) -> dict[str, float]:
    """Every metric of the protocol, with one sort for all that is per user.

    Args:
        labels: 0 or 1. Shape (rows,).
        scores: probabilities, or logits if `logits` is set, which spares the ties of probabilities that float32
            rounds to 0 or 1. Shape (rows,).
        groups: user of each row. Shape (rows,).
        weights: how much each row counts, 0 or more; None: each 1. Shape (rows,).
        logits: whether `scores` are logits; probabilities are then their logistic function in float64.
        k: cut-off of NDCG and recall.

    Returns:
        auc, logloss, gauc, gauc_users_left_out, gauc_rows_left_out (shares), ndcg@k, recall@k, ranking_users (count),
        ece, rows, positives. NaN where a value does not exist.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, a score is NaN, a probability is outside [0, 1], a row has
            no group, a weight is negative or not finite, or k is below 1.
    """
    y, s = checked(labels, scores)
    probabilities = expit(s.astype(np.float64)) if logits else s
    blocks = Blocks.of(y, s, groups, weights)
    by_user, ranking = _gauc(blocks), _ranking_at_k(blocks, k)
    return {
        "auc": auc(y, s, weights),
        "logloss": log_loss(y, probabilities, weights),
        "gauc": by_user.value,
        "gauc_users_left_out": by_user.users_left_out,
        "gauc_rows_left_out": by_user.rows_left_out,
        f"ndcg@{k}": ranking.ndcg,
        f"recall@{k}": ranking.recall,
        "ranking_users": ranking.users,
        "ece": expected_calibration_error(y, probabilities, weights=weights),
        "rows": int(y.size),
        "positives": int(y.sum()),
    }
