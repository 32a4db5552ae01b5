"""The scorer of a model that has no kernel: the exported `score`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


class ExportedScorer:
    """Runs the export's own `score`, for a decoupled model that declares no formula.

    Args:
        score: the signature, a function of states in order that gives "logit", and "logit_exposed" if there is one.
        outputs: the shapes of the towers' outputs, as `features.json` has them.
        tasks: several tasks, the one that ranks first; empty for one.
    """

    chunk = 4096

    def __init__(self, score: Any, outputs: Mapping[str, Mapping[str, list[int | None]]], tasks: tuple[str, ...] = ()):
        self._score = score
        self.tasks = tasks
        self.outputs = len(tasks) or (2 if "logit_exposed" in outputs["score"] else 1)
        self._users = list(outputs["user_tower"])
        self._shapes = {name: [-1, *shape[1:]] for name, shape in outputs["item_tower"].items()}

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        shapes = {name: (1, len(value), math.prod(value.shape[1:])) for name, value in states.items()}
        return {name: value.reshape(shapes[name]) for name, value in states.items()}

    def prepare(self, user: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [user[name][np.newaxis] for name in self._users]

    def score(self, user: list[np.ndarray], items: Mapping[str, np.ndarray]) -> np.ndarray:
        states = [items[name][0].reshape(shape) for name, shape in self._shapes.items()]
        found = self._score([*user, *states])
        if self.tasks:
            return np.stack([found[f"logit_{task}"] for task in self.tasks])
        if self.outputs == 1:
            return found["logit"]
        return np.stack([found["logit"], found["logit"] - found["logit_exposed"]])
