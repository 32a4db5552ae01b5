"""The stages of a cascade: trained models, and the ends of the scale that they are compared with."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

import models
from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.order import best_first
from training.batches import Batches
from training.requests import Requests
from training.spec import as_seen, seen

_SEED = 20_250_104


class Stage(Protocol):
    """Whatever gives items scores."""

    def of(self, requests: Sequence[int], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each of some requests, by their places, the scores of some items, by their places in the catalogue."""
        ...


class Chance:
    """Scores drawn by chance, for each request and item the same ones every time."""

    def of(self, requests: Sequence[int], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        pairs = zip(requests, places, strict=True)
        return [np.random.default_rng([_SEED, request]).random(len(found), np.float32) for request, found in pairs]


class Counted:
    """One number an item, such as its training rows.

    Args:
        numbers: shape (N,).
    """

    def __init__(self, numbers: np.ndarray):
        self._numbers = numbers.astype(np.float64)

    def of(self, requests: Sequence[int], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._numbers[found] for found in places]


def floor(data: PreparedData) -> PreRankingModel | None:
    """Logistic regression on the mean labels of user and item, fitted now; None if the data lack these means.

    A privileged mean is none, as no pre-ranker sees it.
    """
    spec = seen(data.spec, with_privileged=False)
    if spec.user_mean is None or spec.item_mean is None:
        return None
    model = models.build("target_means", spec)
    model.fit_directly(as_seen(Batches(data, "train", 1).columns, data.spec, spec))
    return model


def pools(retrieval, requests: Requests, size: int) -> list[np.ndarray]:
    """The places (n,) of the best `size` items of the whole catalogue for each request, ascending.

    Args:
        retrieval: a :class:`training.scoring.Scorer`, or what has its `all_items`.
        requests: the requests; what is left out of them is in no pool.
        size: how many items a pool has; fewer, if there are no more.
    """
    pairs = enumerate(requests.left_out)
    return [np.sort(best_first(retrieval.all_items(request), size, left_out)) for request, left_out in pairs]


def whole(requests: Requests) -> list[np.ndarray]:
    """The places of all items that are not left out, for each request."""
    every = np.arange(requests.item_count)
    return [np.setdiff1d(every, left_out, assume_unique=True) for left_out in requests.left_out]
