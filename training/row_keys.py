"""What training knows of each row of the training part beside its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features import UNLABELLED
from preprocess.prepared import PreparedData
from training.batches import read_columns


@dataclass(frozen=True)
class RowKeys:
    """Arrays (n,) over the rows of the training part, in the order of its files; 32 to 36 bytes a row.

    Attributes:
        labels: float32, 0 or 1; NaN for a row without a label.
        users, items: int32, numbers of the distinct user and item, from 0 on.
        times: int64, in seconds since 1970; 0 where nothing is timed.
        weights: float32.
        stages: int32, larger for further; 0 without that column.
        teacher: float32, logits of a ranker; NaN where there is none.
        requests: int32, numbers of the distinct requests; None without that column.
        task_labels: float32 (n, T), the labels of each of several tasks, as `labels`; None for one task.
    """

    labels: np.ndarray
    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    weights: np.ndarray
    stages: np.ndarray
    teacher: np.ndarray
    requests: np.ndarray | None
    task_labels: np.ndarray | None = None

    @property
    def labels_of_tasks(self) -> np.ndarray:
        """`task_labels`; without them, an array (n, 0)."""
        return np.zeros((len(self.labels), 0), np.float32) if self.task_labels is None else self.task_labels

    @property
    def unlabelled(self) -> np.ndarray:
        """Which rows (n,) have no label, of no task."""
        return np.isnan(self.labels) if self.task_labels is None else np.isnan(self.task_labels).all(axis=1)

    @classmethod
    def read(cls, data: PreparedData, tasks: Sequence[str] = ()) -> RowKeys:
        """Read them from the files, with the labels of several tasks if they are named."""
        spec = data.spec
        further = spec.row_columns
        names = {name: spec.beside(name) for name in ("group", "item_group", "timestamp", *further)}
        columns = read_columns(data, "train", [spec.label, *names.values()])
        found = {name: columns[column] for name, column in names.items()}
        rows = len(columns[spec.label])
        of_tasks = read_columns(data, "train", [spec.label_of(task) for task in tasks]) if tasks else {}
        return cls(
            labels=_labels(columns[spec.label]),
            users=found["group"],
            items=found["item_group"],
            times=found["timestamp"],
            weights=found.get("weight", np.ones(rows, np.float32)).astype(np.float32),
            stages=found.get("stage", np.zeros(rows, np.int32)).astype(np.int32),
            teacher=found.get("teacher", np.full(rows, np.nan)).astype(np.float32),
            requests=found.get("request"),
            task_labels=np.stack([_labels(found) for found in of_tasks.values()], axis=1) if tasks else None,
        )


def _labels(stored: np.ndarray) -> np.ndarray:
    """Labels (n,) float32, NaN for a row without one."""
    return np.where(stored == UNLABELLED, np.nan, stored).astype(np.float32)
