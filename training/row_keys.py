"""What training knows of each row of the training part beside its fields."""

from __future__ import annotations

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
    """

    labels: np.ndarray
    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    weights: np.ndarray
    stages: np.ndarray
    teacher: np.ndarray
    requests: np.ndarray | None

    @classmethod
    def read(cls, data: PreparedData) -> RowKeys:
        """Read them from the files."""
        spec = data.spec
        further = spec.row_columns
        names = {name: spec.beside(name) for name in ("group", "item_group", "timestamp", *further)}
        columns = read_columns(data, "train", [spec.label, *names.values()])
        found = {name: columns[column] for name, column in names.items()}
        labels = columns[spec.label]
        rows = len(labels)
        return cls(
            labels=np.where(labels == UNLABELLED, np.nan, labels).astype(np.float32),
            users=found["group"],
            items=found["item_group"],
            times=found["timestamp"],
            weights=found.get("weight", np.ones(rows, np.float32)).astype(np.float32),
            stages=found.get("stage", np.zeros(rows, np.int32)).astype(np.int32),
            teacher=found.get("teacher", np.full(rows, np.nan)).astype(np.float32),
            requests=found.get("request"),
        )
