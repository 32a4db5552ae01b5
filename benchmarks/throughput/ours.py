"""How the project trains: `model.fit` from Parquet with shuffling, the lazy optimizer."""

import time

import tensorflow as tf

import models
from benchmarks.throughput.timing import gradients, stages
from preprocess.batches import Batches
from preprocess.prepared import PreparedData
from training import metrics
from training.callbacks import predict
from training.options import RunOptions
from training.trainer import compile_model

_HELD = 40


def measure(data: PreparedData, name: str, options: dict, batch_size: int) -> dict:
    """Examples/s of a whole epoch after one to warm up, the stages' seconds a batch, and an evaluation's share."""
    model = models.build(name, data.spec, options)
    run = RunOptions.model_validate({})
    compile_model(model, run)
    batches = Batches(data, "train", batch_size, shuffle=True, oov_rate=0.05)
    model.plan_training(2, len(batches))
    epochs = batches.dataset(plan=model.plan_lookups())
    model.fit(epochs, verbose=0)
    start = time.perf_counter()
    model.fit(epochs, verbose=0)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    for _ in epochs:
        pass
    read = (time.perf_counter() - start) / len(batches)
    held = list(epochs.take(_HELD))
    return {
        "examples_per_second": batches.rows / seconds,
        "input": read,
        **_stages(model, held),
        "evaluation_share": _evaluation(model, data) / seconds,
    }


def _stages(model: models.PreRankingModel, held: list) -> dict[str, float]:
    @tf.function(reduce_retracing=True)
    def forward(inputs, labels):
        return tf.add_n(list(model.losses(inputs, labels, model.gather(inputs)).values()))

    @tf.function(reduce_retracing=True)
    def backward(inputs, labels):
        return gradients(model, inputs, labels)

    @tf.function(reduce_retracing=True)
    def whole(inputs, labels):
        return model.train_step((inputs, labels))

    return stages(forward, backward, whole, held)


def _evaluation(model: models.PreRankingModel, data: PreparedData) -> float:
    validation = Batches(data, "validation", 8192)
    columns = validation.columns([data.spec.user_id])
    predict(model, validation.dataset())
    start = time.perf_counter()
    logits = predict(model, validation.dataset())
    metrics.evaluate(columns[data.spec.label], logits, columns[data.spec.user_id], logits=True)
    return time.perf_counter() - start
