"""The rows of a part that metrics of rated rows are about: those with a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import UNLABELLED
from preprocess.prepared import PreparedData
from training import metrics
from training.batches import read_columns


@dataclass(frozen=True)
class Rated:
    """The rows with a label.

    Attributes:
        rows: which of the part's n rows have one. Shape (n,), bool.
        labels: their labels, 0 or 1. Shape (rated rows,), as all that follow here.
        groups: their users.
        weights: how much each counts, or None where the data have no weights.
    """

    rows: NDArray[np.bool_]
    labels: NDArray[Any]
    groups: NDArray[Any]
    weights: NDArray[Any] | None

    @classmethod
    def read(cls, data: PreparedData, part: str) -> Rated:
        """Those of a prepared part."""
        spec = data.spec
        label, group, weight = spec.label, spec.beside("group"), spec.beside("weight")
        weighted = "weight" in spec.row_columns
        columns = read_columns(data, part, [label, group, *([weight] if weighted else [])])
        rows = columns[label] != UNLABELLED
        weights = columns[weight][rows] if weighted else None
        return cls(rows, columns[label][rows], columns[group][rows], weights)

    def evaluate(self, logits: NDArray[Any], chosen: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Every metric of :func:`training.metrics.evaluate`.

        Args:
            logits: of every row of the part. Shape (n,).
            chosen: of which rows of the part; all if None. Shape (n,), bool.
        """
        among = np.ones(len(self.labels), bool) if chosen is None else chosen[self.rows]
        weights = None if self.weights is None else self.weights[among]
        scores = logits[self.rows][among]
        return metrics.evaluate(self.labels[among], scores, self.groups[among], weights=weights, logits=True)
