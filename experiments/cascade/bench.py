"""The requests of a setting, and a retrieval model and a ranker between which pre-rankers are judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from experiments.cascade import stages
from experiments.cascade.intervals import Users
from experiments.cascade.metrics import Pools
from experiments.cascade.opened import Opened
from experiments.cascade.truth import Planted
from models import PreRankingModel
from preprocess.prepared import PreparedData
from training.requests import Requests
from training.scoring import Scorer

Scores = Sequence[np.ndarray]


@dataclass(frozen=True)
class Asked:
    """What is asked of each pre-ranker.

    Attributes:
        pool: how many items retrieval passes on.
        quotas: how many of them the pre-ranker passes on.
        requests: how many requests are drawn.
        part: "validation" or "test".
        ends: which of :data:`experiments.defaults.ENDS` are judged too.
    """

    pool: int
    quotas: tuple[int, ...]
    requests: int
    part: str
    ends: tuple[str, ...]


class Bench:
    """The requests of a setting, and what is known of them.

    Args:
        data: the data set.
        raw: the folder of its raw data, where generated ones have their truth.
        asked: what is asked.
    """

    def __init__(self, data: PreparedData, raw: Path, asked: Asked):
        self.data = data
        self.requests = Requests.of(data, asked.part, asked.requests)
        self.strata = self.requests.strata()
        self.planted = Planted.read(raw, self.requests, data.manifest["options"].get("negatives", 0))
        self.users = Users(self.requests.groups)

    def pools(self, places: Scores) -> Pools:
        """Pools with what the metrics need of their items."""
        truth = None if self.planted is None else self.planted.of(places)
        return Pools(places, self.requests.positives, self.requests.unseen, self.strata, truth)

    def scores(self, stage: stages.Stage, places: Scores) -> list[np.ndarray]:
        """The scores of every request's items by a stage."""
        return stage.of(range(self.requests.count), places)

    @cached_property
    def floor(self) -> PreRankingModel | None:
        """The floor, or None if the data have no mean labels."""
        return stages.floor(self.data)


@dataclass(frozen=True)
class Between:
    """A retrieval model and a ranker, between which pre-rankers are judged.

    Attributes:
        bench: the requests.
        retrieval, ranker: the models.
        pools: what retrieval passes on.
        ranked: the ranker's scores of it.
    """

    bench: Bench
    retrieval: Opened
    ranker: Opened
    pools: Pools
    ranked: Scores


def end(name: str, between: Between) -> stages.Stage:
    """An end of the scale, by its name in :data:`experiments.defaults.ENDS`, as a stage."""
    requests = between.bench.requests
    if name == "random":
        return stages.Chance()
    if name == "popularity":
        return stages.Counted(requests.training_rows)
    if name == "recent_popularity":
        return stages.Counted(requests.recent_rows)
    if name == "floor" and between.bench.floor is not None:
        return Scorer(between.bench.floor, requests)
    return {"retrieval": between.retrieval, "ranker": between.ranker}[name].scorer
