"""The value of a model as the pre-ranker of a cascade, cheap enough for the end of each epoch."""

import numpy as np

from models import PreRankingModel, TwoTowerModel
from preprocess.prepared import PreparedData
from training.requests import Requests
from training.scoring import top_items

REQUESTS, RANKER_REQUESTS = 500, 100
"""How many requests a decoupled model is asked, and one that has to score every pair anew."""
MOST_ITEMS = 20_000
"""Of a larger catalogue a sample stratified by popularity is taken, with all positives."""


class CascadeRecall:
    """Recall of later positives among the items that a model passes on out of the whole catalogue.

    The requests are those of :mod:`training.requests`, read once, which says what their inputs know. Where the split is
    by time, no label from a request's time on is among it. No row of a later part is read.

    Args:
        data: the data set.
        part: "validation", or "test".
        cutoff: how many items the model passes on.
        requests: how many requests to ask; None: :data:`REQUESTS` of a decoupled model, :data:`RANKER_REQUESTS` of
            others.
        most_items: a larger catalogue is sampled; None: never.
    """

    def __init__(
        self,
        data: PreparedData,
        part: str = "validation",
        *,
        cutoff: int = 50,
        requests: int | None = None,
        most_items: int | None = MOST_ITEMS,
    ):
        self._data, self._part = data, part
        self._cutoff, self._asked, self._most_items = cutoff, requests, most_items
        self._read: dict[int, Requests] = {}

    def exists(self, model: PreRankingModel) -> bool:
        """Whether a request has a later positive, among those that a model like `model` is asked."""
        return any(map(len, self._requests(model).positives))

    def __call__(self, model: PreRankingModel) -> float:
        """The mean recall over the requests with a positive, in [0, 1]; NaN if there is no such request."""
        requests = self._requests(model)
        best = top_items(model, requests, self._cutoff)
        pairs = zip(requests.positives, best, strict=True)
        found = [np.isin(positives, passed).mean() for positives, passed in pairs if len(positives)]
        return float(np.mean(found)) if found else float("nan")

    def _requests(self, model: PreRankingModel) -> Requests:
        count = self._asked or (REQUESTS if isinstance(model, TwoTowerModel) else RANKER_REQUESTS)
        if count not in self._read:
            requests = Requests.of(self._data, self._part, count)
            self._read[count] = requests if self._most_items is None else requests.sampled(self._most_items)
        return self._read[count]
