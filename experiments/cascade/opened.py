"""A run as a stage of a cascade."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

import models
from experiments.plan import Planner
from experiments.runs import Run, variant_title
from experiments.trained import TrainedRun
from models import PreRankingModel
from training.batches import Batches
from training.callbacks import predict
from training.rated import Rated
from training.records import METRICS
from training.requests import Requests
from training.scoring import Scorer

_BATCH = 8192


class Opened:
    """A run as a stage: its model and scores are made when they are first needed.

    Args:
        run: the run.
        planner: finds its data.
        requests: gives the requests.
    """

    def __init__(self, run: Run, planner: Planner, requests: Callable[[], Requests]):
        self.run = run
        self._planner = planner
        self._requests = requests

    @cached_property
    def trained(self) -> TrainedRun:
        """The run with its data."""
        return TrainedRun.open(self.run, self._planner)

    @cached_property
    def model(self) -> PreRankingModel:
        """The trained model."""
        return self.trained.model()

    @cached_property
    def scorer(self) -> Scorer:
        """Its scores of the requests."""
        return Scorer(self.model, self._requests())

    def forget(self) -> None:
        """Free what :attr:`scorer` holds, the states of a whole catalogue; it is made again if need be."""
        self.__dict__.pop("scorer", None)

    def pcoc(self, part: str) -> float | None:
        """Predicted over observed positives of the labelled rows of a part; None if there is no such number.

        That is so without a positive, and of a model whose logit is that of no probability.
        """
        if not models.get(self.run.model).calibrated:
            return None
        rated = Rated.read(self.trained.data, part)
        if part == "test":
            logits = self.trained.test_logits()
        else:
            logits = predict(self.model, Batches(self.trained.data, part, _BATCH).dataset())
        return pcoc(rated.labels, logits[rated.rows], rated.weights)

    @property
    def name(self) -> str:
        """The model and its options beside the defaults."""
        return " ".join([self.run.model, variant_title(self.run.variant)]).strip()

    @property
    def record(self) -> dict[str, Any]:
        """As :class:`experiments.cascade.records.StageRecord`."""
        return {"name": self.name, "model": self.run.model, "run": self.run.folder.name, "seed": self.run.seed}

    @cached_property
    def result(self) -> str:
        """A digest of what training gave, by which a run trained anew is known."""
        return hashlib.sha256((self.run.folder / METRICS).read_bytes()).hexdigest()[:16]


def pcoc(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Predicted over observed positives, `Σ w σ(logit) / Σ w label`.

    Args:
        labels: 0 or 1. Shape (rows,).
        logits: of the probability. Shape (rows,).
        weights: how much each row counts; the same if None. Shape (rows,).

    Returns:
        A number, 1 where the sum is calibrated; None if no row is a positive.
    """
    counts = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    positives = float(counts @ labels)
    return float(counts @ expit(logits.astype(np.float64))) / positives if positives else None
