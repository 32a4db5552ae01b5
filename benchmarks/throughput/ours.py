"""How the project trains: `model.fit` from Parquet with shuffling, the lazy optimizer."""

import time
from collections import Counter

import tensorflow as tf

import models
from benchmarks.throughput.op_times import operations
from benchmarks.throughput.timing import gradients, stages
from models.batch import Batch
from preprocess.prepared import PreparedData
from training import metrics, row_kernels
from training.batches import Batches
from training.callbacks import predict
from training.optimizer import LazyAdam
from training.options import RunOptions
from training.trainer import compile_model

_HELD = 40


def measure(data: PreparedData, name: str, options: dict, batch_size: int, without: str = "") -> dict:
    """Examples/s of a whole epoch after one to warm up, the stages' seconds a batch, and an evaluation's share.

    Args:
        data: the table.
        name: the model.
        options: the model's options.
        batch_size: rows a batch.
        without: what to take back: `compiled_rows`, for TensorFlow's operations on embedding rows; `planning` of
            look-ups; `lazy_adam`, for Keras's Adam; `no_weight_decay`, for Keras's default of 0; `no_tuner`, for
            tf.data's; `no_xla`, for a compiled step; `kept_memory` is up to the caller. Empty for nothing.
    """
    model = models.build(name, data.spec, options, xla=without == "no_xla")
    _compile(model, without)
    if without not in ("compiled_rows", "planning"):
        row_kernels.choose(model, 1, print)
    batches = Batches(data, "train", batch_size, shuffle=True, oov_rate=0.05)
    model.plan_training(2, len(batches))
    epochs = batches.dataset(plan=None if without == "planning" else model.plan_lookups())
    if without == "no_tuner":
        tuned = tf.data.Options()
        tuned.autotune.enabled = True
        epochs = epochs.with_options(tuned)
    model.fit(epochs, verbose=0)
    start, busy = time.perf_counter(), time.process_time()
    model.fit(epochs, verbose=0)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    start = time.perf_counter()
    for _ in epochs:
        pass
    read = (time.perf_counter() - start) / len(batches)
    held = list(epochs.take(_HELD))
    return {
        "examples_per_second": batches.rows / seconds,
        "cpu": busy / len(batches),
        "input": read,
        **_stages(model, held),
        "evaluation_share": _evaluation(model, data) / seconds,
    }


def profile(data: PreparedData, name: str, options: dict, batch_size: int) -> Counter[str]:
    """Milliseconds a batch that each kind of operation of a training step takes."""
    model = models.build(name, data.spec, options)
    _compile(model, "")
    row_kernels.choose(model, 1, print)
    batches = Batches(data, "train", batch_size, shuffle=True, oov_rate=0.05)
    model.plan_training(2, len(batches))

    @tf.function(reduce_retracing=True)
    def step(*batch):
        return model.train_step(Batch(*batch))

    return operations(step, list(batches.dataset(plan=model.plan_lookups()).take(_HELD)))


def _compile(model: models.PreRankingModel, without: str) -> None:
    run = RunOptions.model_validate({"jit": without == "no_xla"})
    if without not in ("lazy_adam", "no_weight_decay"):
        compile_model(model, run)
        return
    if without == "lazy_adam":
        model.compile(optimizer=tf.keras.optimizers.Adam(run.lr, jit_compile=False))
    else:
        model.compile(optimizer=LazyAdam(run.lr, embedding_l2=run.embedding_l2, weight_decay=0.0))
    model.optimizer.build(model.trainable_variables)


def _stages(model: models.PreRankingModel, held: list) -> dict[str, float]:
    @tf.function(reduce_retracing=True)
    def forward(*parts):
        batch = Batch(*parts)
        return tf.add_n(list(model.losses(batch, model.gather(batch.plan)).values()))

    @tf.function(reduce_retracing=True)
    def backward(*parts):
        return gradients(model, Batch(*parts))

    @tf.function(reduce_retracing=True)
    def whole(*parts):
        return model.train_step(Batch(*parts))

    return stages(forward, backward, whole, held)


def _evaluation(model: models.PreRankingModel, data: PreparedData) -> float:
    validation = Batches(data, "validation", 8192)
    columns = validation.columns([data.spec.user_id])
    predict(model, validation.dataset())
    start = time.perf_counter()
    logits = predict(model, validation.dataset())
    metrics.evaluate(columns[data.spec.label], logits, columns[data.spec.user_id], logits=True)
    return time.perf_counter() - start
