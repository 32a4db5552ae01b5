"""Several tasks: a scorer for each, of states of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np

TASKS, RANKING_TASK = "tasks", "ranking_task"
"""The arrays of `scorer.npz` that name the tasks, in their order, and the one that ranks."""


class Tasks:
    """The logits of several tasks; the first row is that of the task that ranks.

    Args:
        kernels: the kernel of each task, in their order.
        ranking: the task that ranks.
        chained: whether a task's probability is the product of its own factor and those of the tasks before it.

    Attributes:
        tasks: the tasks, in the order of the rows.
    """

    def __init__(self, kernels: Mapping[str, Any], ranking: str, chained: bool):
        self._kernels = dict(kernels)
        self._chained = chained
        self.tasks = (ranking, *(task for task in kernels if task != ranking))
        self.outputs = len(self.tasks)
        self.chunk: int = min(kernel.chunk for kernel in kernels.values())

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        arranged: dict[str, np.ndarray] = {}
        for task, own in self._split(states).items():
            found = self._kernels[task].arrange(own)
            arranged |= {f"{name}_{task}": array for name, array in found.items()}
        return arranged

    def prepare(self, user: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {task: self._kernels[task].prepare(own) for task, own in self._split(user).items()}

    def score(self, user: Mapping[str, Any], items: Mapping[str, np.ndarray]) -> np.ndarray:
        arrays = self._split(items)
        logits = {task: kernel.score(user[task], arrays[task]) for task, kernel in self._kernels.items()}
        if self._chained:
            before = None
            for task, logit in logits.items():
                logits[task] = before = logit if before is None else _product(before, logit)
        return np.stack([logits[task] for task in self.tasks])

    def _split(self, values: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        """What is each task's own, by the names that its kernel knows: without the task's name, which ends them."""
        found: dict[str, dict[str, np.ndarray]] = {task: {} for task in self._kernels}
        for name, value in values.items():
            task = max((task for task in self._kernels if name.endswith(f"_{task}")), key=len, default="")
            found[task][name.removesuffix(f"_{task}")] = value
        return found


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The log-odds (n,) of `σ(a) · σ(b)`: `-log(exp(-a) + exp(-b) + exp(-a - b))`."""
    return -np.logaddexp(np.logaddexp(-a, -b), -(a + b))
