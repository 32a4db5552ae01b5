"""Examples/s of a whole epoch from the prepared files, beside those of forward and backward passes alone."""

import statistics
import time

import tensorflow as tf

import models
from benchmarks.throughput.timing import gradients
from preprocess.prepared import PreparedData
from training.config import Config
from training.objective_setup import training_batches
from training.trainer import compile_model

_ROUNDS = 5
_BATCHES_IN_MEMORY = 100


def compare(config: Config, data: PreparedData) -> None:
    """Time both in turn, and print each round and the medians."""
    model = models.build(config.run.model_name, data.spec, config.model, xla=config.run.jit)
    compile_model(model, config.run)
    batches = training_batches(config, data)
    plan = model.plan_lookups()
    held = list(batches.dataset(plan=plan).take(_BATCHES_IN_MEMORY))
    epochs = batches.dataset(first_epoch=1, plan=plan)
    forward_backward = _forward_backward(model, config.run.jit)
    _passes_per_second(forward_backward, held)
    model.fit(epochs, verbose=0)  # both traced and warm
    speeds = []
    for _ in range(_ROUNDS):
        alone = _passes_per_second(forward_backward, held)
        start = time.perf_counter()
        model.fit(epochs, verbose=0)
        whole = batches.rows / (time.perf_counter() - start)
        speeds.append((alone, whole))
        print(f"forward and backward alone {alone:10,.0f} examples/s, whole epoch {whole:10,.0f}, {whole / alone:.2f}")
    alone, whole = (statistics.median(column) for column in zip(*speeds, strict=True))
    ratio = statistics.median(whole / alone for alone, whole in speeds)
    print(f"{config.run.model_name}, {config.data.protocol}: median {alone:,.0f} and {whole:,.0f}, ratio {ratio:.2f}")


def _forward_backward(model: tf.keras.Model, jit: bool):
    @tf.function(jit_compile=jit, reduce_retracing=True)
    def step(batch):
        return gradients(model, batch)

    return step


def _passes_per_second(step, batches) -> float:
    start = time.perf_counter()
    for batch in batches:
        step(batch)
    tf.test.experimental.sync_devices()
    return sum(len(batch.labels) for batch in batches) / (time.perf_counter() - start)
