"""Milliseconds a request of the stages of a cascade, each stage in turn, so that a slow moment meets them all.

A decoupled model is timed as it serves: its kernel in NumPy on item states that lie ready. Other models are timed in
TensorFlow. The user's state, once a request, is timed apart.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.cascade.stages import Stage
from models import PreRankingModel, TwoTowerModel
from prerank.index import ItemStates
from prerank.kernels import META_INDEX, Kernel, make_kernel
from prerank.lookup import lookup_of
from prerank.order import best_first
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray
from training.requests import Requests

REQUESTS, ROUNDS = 10, 7
"""How many requests are timed, and how often each."""
FEW = 3
"""The same of what takes long."""

Task = Callable[[int], Any]
"""What is done for a request, by its place."""


def medians(tasks: Mapping[str, Task], requests: int, rounds: int = ROUNDS) -> dict[str, float]:
    """The median milliseconds of each task over requests and rounds.

    Args:
        tasks: by name.
        requests: the first so many requests are timed.
        rounds: how often; before them each task is done once.
    """
    for task in tasks.values():
        task(0)
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for request in range(requests):
            for name, task in tasks.items():
                started = time.perf_counter()
                task(request)
                found[name].append(time.perf_counter() - started)
    return {name: 1000 * float(np.median(seconds)) for name, seconds in found.items()}


def stage_task(stage: Stage, pools: Sequence[np.ndarray], count: int) -> Task:
    """Scoring a pool by a stage, and choosing its best `count` items."""

    def task(request: int) -> np.ndarray:
        return best_first(stage.of([request], [pools[request]])[0], count)

    return task


def kernel_task(model: PreRankingModel, requests: Requests, pools: Sequence[np.ndarray], count: int) -> Task | None:
    """As :func:`stage_task`, of a decoupled model's kernel; None if the model has none.

    Args:
        model: the model.
        requests: the requests.
        pools: the pools of those that are timed.
        count: how many items are chosen.
    """
    spec = model.scorer_spec() if isinstance(model, TwoTowerModel) else None
    if spec is None or not isinstance(model, TwoTowerModel):
        return None
    kernel = make_kernel(spec.kind, {**spec.weights, "bias": model.bias.numpy()})
    index = _Index.of(model, kernel, requests, np.unique(np.concatenate(list(pools))))
    positions = [index.positions(pool) for pool in pools]
    states = model.user_tower({name: tf.constant(values[: len(pools)]) for name, values in requests.users.items()})
    users = {name: value.numpy() for name, value in states.items()}

    def task(request: int) -> np.ndarray:
        user = kernel.prepare({name: value[request] for name, value in users.items()})
        return best_first(index.snapshot.score(kernel, user, positions[request]), count)

    return task


def user_task(model: PreRankingModel, requests: Requests) -> Task | None:
    """Computing the state of a request's user; None if the model is not decoupled."""
    if not isinstance(model, TwoTowerModel):
        return None
    tower = tf.function(model.user_tower, reduce_retracing=True)

    def task(request: int) -> Any:
        return tower({name: tf.constant(values[request : request + 1]) for name, values in requests.users.items()})

    return task


@dataclass(frozen=True)
class _Index:
    """Item states as an index has them.

    Attributes:
        snapshot: the states.
        places: the place in the catalogue of each item. Shape (n,), ascending.
        order: where each of them lies in the index. Shape (n,).
    """

    snapshot: Snapshot
    places: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, model: TwoTowerModel, kernel: Kernel, requests: Requests, places: np.ndarray) -> "_Index":
        tower = model.item_tower({name: tf.constant(values[places]) for name, values in requests.items.items()})
        arrays = kernel.arrange({name: value.numpy() for name, value in tower.items()})
        chosen = arrays.get(META_INDEX)
        sorted_ = np.arange(len(places)) if chosen is None else np.argsort(chosen[0, :, 0], kind="stable")
        stored = {name: StoredArray.encode(array, "float32").take(sorted_) for name, array in arrays.items()}
        states = ItemStates(places[sorted_], stored, "float32")
        return cls(Snapshot("", (0, 0), states, lookup_of(states.ids)), places, np.argsort(sorted_))

    def positions(self, pool: np.ndarray) -> np.ndarray:
        """Where the items of a pool lie in the index."""
        return self.order[np.searchsorted(self.places, pool)]
