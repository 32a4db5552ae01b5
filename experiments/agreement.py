"""How far a pre-ranking model's best items of the whole catalogue are those of a ranking model.

Users are a sample of those with a row in the test part, each as at the first of their test rows; see
:mod:`training.requests` for them and for the catalogue.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.defaults import CUTOFFS
from training.requests import Requests
from training.scoring import NOT_AN_ITEM


def compare(best: np.ndarray, of_ranker: np.ndarray | None, requests: Requests) -> dict[str, Any]:
    """Agreement of a model's best items with those of a ranking model.

    Args:
        best: of the model, from :func:`training.scoring.top_items`.
        of_ranker: of the ranking model; None if the model is the ranking model itself.
        requests: the users, their positives and the catalogue.

    Returns:
        `overlap@K`, the mean over the users of the share of the ranking model's best K that is among the model's (None
        without `of_ranker`); `recall@K`, the mean over the users with a positive of the share of their positives among
        the model's best K (None if there is no such user); `unseen@K`, the mean over the users of the share of unseen
        items among the model's best K; `users`, `users_with_positives`, `items`, `unseen_items`.
    """
    with_positives = [user for user, found in enumerate(requests.positives) if len(found)]
    results: dict[str, Any] = {
        "users": requests.count,
        "users_with_positives": len(with_positives),
        "items": requests.item_count,
        "unseen_items": int(requests.unseen.sum()),
    }
    for k in CUTOFFS:
        overlap = None
        if of_ranker is not None:
            overlap = _mean(_share(best[user, :k], of_ranker[user, :k]) for user in range(requests.count))
        results[f"overlap@{k}"] = overlap
        results[f"recall@{k}"] = _mean(_share(best[user, :k], requests.positives[user]) for user in with_positives)
        items = [found[found != NOT_AN_ITEM] for found in best[:, :k]]
        results[f"unseen@{k}"] = _mean(requests.unseen[found].mean() for found in items if len(found))
    return results


def _share(found: np.ndarray, wanted: np.ndarray) -> float:
    wanted = wanted[wanted != NOT_AN_ITEM]
    return float(np.isin(wanted, found).mean()) if len(wanted) else 1.0


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
