"""What a pre-ranker's scores do for a cascade's final list, request by request. NumPy and SciPy only.

A request has a pool, the items that retrieval passed on. The pre-ranker passes on its best `quota` items of the pool,
and the ranker's order of these is the final list. Of equal scores the item that is first in the catalogue comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from prerank.order import best_first
from training.metrics import user_aucs

CUTOFFS = (10, 50)
"""Lengths of the final list."""
STRATA = ("head", "middle", "tail")

Floats = NDArray[np.float64]
Table = dict[str, Floats]
"""Metrics by name, of shape (requests, quotas); NaN where a value does not exist."""


@dataclass(frozen=True)
class Truth:
    """What is known of the requests of generated data.

    Attributes:
        pools: of each request the true probability that an item of its pool is a positive if shown. Length R.
        best: of each request, by cutoff, the sum of the largest true probabilities of the whole catalogue. Shape (R,).
    """

    pools: Sequence[np.ndarray]
    best: dict[int, np.ndarray]


@dataclass(frozen=True)
class Pools:
    """The pools of some requests and what is known of their items.

    Attributes:
        places: of each request the places of the pool's items in the catalogue, ascending. Length R.
        positives: of each request the places of the user's later positives in the catalogue. Length R.
        unseen: which items of the catalogue the training part lacks. Shape (N,), bool.
        strata: number of each item's popularity stratum, see :data:`STRATA`. Shape (N,).
        truth: true probabilities, of generated data.
    """

    places: Sequence[np.ndarray]
    positives: Sequence[np.ndarray]
    unseen: np.ndarray
    strata: np.ndarray
    truth: Truth | None = None
    wanted: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        pairs = zip(self.places, self.positives, strict=True)
        object.__setattr__(self, "wanted", [np.isin(found, positives) for found, positives in pairs])


def judge(pools: Pools, scores: Sequence[np.ndarray], of_ranker: Sequence[np.ndarray], quotas: Sequence[int]) -> Table:
    """All metrics of a pre-ranker.

    Args:
        pools: the requests.
        scores: of each request the pre-ranker's scores of the pool's items. Length R.
        of_ranker: the same of the ranker.
        quotas: how many items the pre-ranker passes on.

    Returns:
        By quota: `recall@K` and `ndcg@K` of the later positives in the first K of the final list, `recall@K_head`,
        `_middle` and `_tail` of the positives of a stratum, `unseen@K`, the share of unseen items in it,
        `survival@K`, the share of the ranker's best K of the pool that is passed on, `agreed`, the share of the
        ranker's best `quota` of the pool that is, `passed_recall` and `passed_unseen` of all that is passed on; with a
        truth `true_positives@K`, the true probabilities' sum over the final list, and `regret@K` and `pool_regret@K`,
        what that is less than the best K of the whole catalogue, and of the pool, have.
        The same for every quota: `overlap@K`, the share of the ranker's best K that is among the pre-ranker's best K,
        `auc` of the later positives within the pool, `kendall_tau` of both scores, `pool_recall`, `pool_unseen`.
        Recall and NDCG of a request without a positive are NaN, and so is its AUC.
    """
    found: Table = {}
    numbers = zip(scores, of_ranker, strict=True)
    for request, (of_preranker, of_best) in enumerate(numbers):
        one = _Request(pools, request, best_first(of_preranker, len(of_preranker)), best_first(of_best, len(of_best)))
        of_pool = one.of_pool()
        values = [{**one.of_quota(quota), **of_pool} for quota in quotas]
        for name in values[0]:
            column = found.setdefault(name, np.full((len(scores), len(quotas)), np.nan))
            column[request] = [of_quota[name] for of_quota in values]
    within = _within(pools, scores, of_ranker)
    return found | {name: np.repeat(values[:, np.newaxis], len(quotas), axis=1) for name, values in within.items()}


def _within(pools: Pools, scores: Sequence[np.ndarray], of_ranker: Sequence[np.ndarray]) -> dict[str, Floats]:
    """AUC and Kendall's tau-b of each request, over all of its pool. Shapes (R,)."""
    requests = np.repeat(np.arange(len(scores)), [len(found) for found in scores])
    auc = np.full(len(scores), np.nan)
    auc[np.unique(requests)], _ = user_aucs(np.concatenate(pools.wanted), np.concatenate(list(scores)), requests)
    pairs = zip(scores, of_ranker, strict=True)
    return {"auc": auc, "kendall_tau": np.array([_tau(mine, best) for mine, best in pairs])}


def _tau(scores: np.ndarray, of_ranker: np.ndarray) -> float:
    """Kendall's tau-b, NaN if one of both is constant."""
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(of_ranker) == 0:
        return np.nan
    if scores is of_ranker:  # the ranker itself
        return 1.0
    return float(kendalltau(scores, of_ranker).statistic)


class _Request:
    """One request.

    Args:
        pools: all of them.
        number: which it is.
        order: places in the pool, the pre-ranker's best first.
        ranked: the same of the ranker.
    """

    def __init__(self, pools: Pools, number: int, order: np.ndarray, ranked: np.ndarray):
        self._order, self._ranked = order, ranked
        self._wanted = pools.wanted[number]
        self._positives = len(pools.positives[number])
        self._unseen = pools.unseen[pools.places[number]]
        self._strata = pools.strata[pools.places[number]]
        self._of_strata = np.bincount(pools.strata[pools.positives[number]], minlength=len(STRATA))
        self._truth = None if pools.truth is None else pools.truth.pools[number]
        self._best: dict[int, float] = {}
        self._best_of_pool: dict[int, float] = {}
        if pools.truth is not None:
            falling = np.sort(pools.truth.pools[number])[::-1]
            self._best = {k: float(best[number]) for k, best in pools.truth.best.items()}
            self._best_of_pool = {k: float(falling[:k].sum()) for k in CUTOFFS}

    def of_quota(self, quota: int) -> dict[str, float]:
        """What depends on the quota."""
        passed = np.zeros(len(self._order), bool)
        passed[self._order[:quota]] = True
        final = self._ranked[passed[self._ranked]]
        found = {
            "agreed": _mean(passed[self._ranked[:quota]]),
            "passed_recall": _ratio(self._wanted[passed].sum(), self._positives),
            "passed_unseen": _mean(self._unseen[passed]),
        }
        for k in CUTOFFS:
            first = final[:k]
            found[f"survival@{k}"] = _mean(passed[self._ranked[:k]])
            found[f"recall@{k}"] = _ratio(self._wanted[first].sum(), self._positives)
            found[f"ndcg@{k}"] = _ratio(_gain(self._wanted[first]), _gain(np.ones(min(self._positives, k))))
            found[f"unseen@{k}"] = _mean(self._unseen[first])
            hit = self._strata[first[self._wanted[first]]]
            for number, stratum in enumerate(STRATA):
                found[f"recall@{k}_{stratum}"] = _ratio((hit == number).sum(), self._of_strata[number])
            if self._truth is not None:
                value = float(self._truth[first].sum())
                found[f"true_positives@{k}"] = value
                found[f"regret@{k}"] = self._best[k] - value
                found[f"pool_regret@{k}"] = self._best_of_pool[k] - value
        return found

    def of_pool(self) -> dict[str, float]:
        """What does not."""
        found = {
            "pool_recall": _ratio(self._wanted.sum(), self._positives),
            "pool_unseen": _mean(self._unseen),
        }
        for k in CUTOFFS:
            found[f"overlap@{k}"] = _mean(np.isin(self._ranked[:k], self._order[:k]))
        return found


def _gain(wanted: np.ndarray) -> float:
    """Discounted gain of a list, `Σ wanted / log2(rank + 1)` with ranks from 1."""
    return float((wanted / np.log2(np.arange(2, len(wanted) + 2))).sum())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
