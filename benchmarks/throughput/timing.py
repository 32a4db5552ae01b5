"""Timing of the stages of a training step."""

import time
from collections.abc import Callable, Iterable

import tensorflow as tf

import models
from models.batch import Batch

Step = Callable[..., object]

_WARM = 4


def seconds_per_batch(step: Step, batches: Iterable) -> float:
    """Mean time of `step` over `batches` held in memory; a few are run before, to trace it."""
    batches = list(batches)
    for batch in batches[:_WARM]:
        step(*batch)
    tf.test.experimental.sync_devices()
    start = time.perf_counter()
    for batch in batches:
        step(*batch)
    tf.test.experimental.sync_devices()
    return (time.perf_counter() - start) / len(batches)


def stages(forward: Step, backward: Step, whole: Step, batches: list) -> dict[str, float]:
    """Seconds a batch of forward, backward and optimizer: differences of the three steps' times, at least 0."""
    a, b, c = (seconds_per_batch(step, batches) for step in (forward, backward, whole))
    return {"forward": a, "backward": max(b - a, 0.0), "optimizer": max(c - b, 0.0)}


def gradients(model: models.PreRankingModel, batch: Batch) -> list:
    """The forward and backward pass of a training step, with planned look-ups if `batch` holds their plan."""
    rows = model.gather(batch.plan)
    with tf.GradientTape() as tape:
        leaves = [*model.trainable_variables]
        if rows is not None:
            tape.watch(rows)
            leaves.append(rows)
        total = tf.add_n(list(model.losses(batch, rows).values()))
    return tape.gradient(total, leaves)
