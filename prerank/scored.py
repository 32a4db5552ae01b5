"""What a ranker answers: items with their scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prerank.calibration import Probabilities


@dataclass(frozen=True)
class Scored:
    """Items and their scores for one user, all from one version of the index.

    Attributes:
        ids: (N,) item ids; int64, or strings as objects.
        scores: (N,) float32, the logits by which items rank; NaN for an item that the index does not hold.
        unknown: the candidates that the index does not hold, in the order of the request.
        version: the version of the index.
        log_probabilities: (N,) float32, of a model with tasks the logs of `probability` before calibration; or None.
        values: (N,) float32, probability times the item's value, by which items rank if one was asked for; or None.
        task_scores: (N,) float32 by task, the log-odds of each of several tasks; of one task none.
    """

    ids: np.ndarray
    scores: np.ndarray
    unknown: tuple[Any, ...]
    version: str
    log_probabilities: np.ndarray | None = None
    values: np.ndarray | None = None
    task_scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    calibration: Probabilities = field(default_factory=Probabilities, repr=False, compare=False)
    task_calibrations: Mapping[str, Probabilities] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it: the index's version, items with their numbers, and unknown candidates."""
        numbers = zip(self.ids.tolist(), self.scores.tolist(), self.probabilities.tolist(), strict=True)
        items = [{"id": key, "logit": _number(score), "probability": _number(p)} for key, score, p in numbers]
        for task, scores in self.task_scores.items():
            of_task = zip(scores.tolist(), self.task_probabilities[task].tolist(), strict=True)
            added = [{f"logit_{task}": _number(score), f"probability_{task}": _number(p)} for score, p in of_task]
            items = [item | further for item, further in zip(items, added, strict=True)]
        if self.values is not None:
            items = [item | {"value": value} for item, value in zip(items, self.values.tolist(), strict=True)]
        return {"index": self.version, "items": items, "unknown": list(self.unknown)}

    @property
    def probabilities(self) -> np.ndarray:
        """(N,) float32, the output `probability`, calibrated if the model is; see `features.json`."""
        return self.calibration.of(self.scores, self.log_probabilities)

    @property
    def task_probabilities(self) -> dict[str, np.ndarray]:
        """(N,) float32 by task, the outputs `probability_<task>`; of one task none."""
        return {task: self.task_calibrations[task].of(scores) for task, scores in self.task_scores.items()}


def _number(value: float) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    return None if value != value else value
