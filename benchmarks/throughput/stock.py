"""What users have today: deepctr's layers, `model.fit` on arrays, Keras's Adam."""

import time

import numpy as np
import tensorflow as tf

import legacy_keras
from benchmarks.throughput.timing import stages
from features import FeatureSpec
from models.columns import columns as columns_of
from preprocess.prepared import PreparedData
from training.batches import Batches

legacy_keras.mend_deepctr()

from deepctr.feature_column import build_input_features, input_from_feature_columns  # noqa: E402  (mended first)
from deepctr.layers import DNN, combined_dnn_input  # noqa: E402

_WARM_STEPS = 5


def _model(spec: FeatureSpec, hidden: tuple[int, ...], embedding_dim: int) -> tf.keras.Model:
    """Two towers from feature columns as deepctr's own models are made, its default regularisers included."""
    inputs, vectors = [], []
    for side in ("user", "item"):
        columns = columns_of(spec, side, embedding_dim)
        features = build_input_features(columns)
        inputs += list(features.values())
        embeddings, dense = input_from_feature_columns(features, columns, 1e-5, 1024)
        vectors.append(DNN(hidden, "relu", 0, 0, True, seed=1024)(combined_dnn_input(embeddings, dense)))
    score = tf.keras.layers.Dot(axes=1, normalize=True)(vectors)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1, "sigmoid")(score))


def measure(data: PreparedData, hidden: tuple[int, ...], embedding_dim: int, batch_size: int, steps: int) -> dict:
    """Examples/s of `model.fit` over `steps` batches, after a few more to warm up, and the stages' seconds a batch."""
    model = _model(data.spec, hidden, embedding_dim)
    model.compile("adam", "binary_crossentropy")
    rows = (steps + _WARM_STEPS) * batch_size
    columns = Batches(data, "train", batch_size).columns([field.name for field in data.spec.fields])
    labels = columns.pop(data.spec.label)[:rows]
    columns = {name: values[:rows] for name, values in columns.items()}
    warm = slice(0, _WARM_STEPS * batch_size)
    model.fit({name: values[warm] for name, values in columns.items()}, labels[warm], batch_size, verbose=0)
    rest = slice(_WARM_STEPS * batch_size, rows)
    arrays = {name: values[rest] for name, values in columns.items()}
    start, busy = time.perf_counter(), time.process_time()
    model.fit(arrays, labels[rest], batch_size, verbose=0)
    speed = steps * batch_size / (time.perf_counter() - start)
    busy = time.process_time() - busy
    return {"examples_per_second": speed, "cpu": busy / steps, **_stages(model, arrays, labels[rest], batch_size)}


def _stages(model: tf.keras.Model, columns: dict[str, np.ndarray], labels: np.ndarray, batch_size: int) -> dict:
    batches = tf.data.Dataset.from_tensor_slices((columns, labels)).shuffle(len(labels)).batch(batch_size)
    start = time.perf_counter()
    held = list(batches)[:20]
    read = (time.perf_counter() - start) / (len(labels) / batch_size)

    def loss(inputs, targets):
        return model.compute_loss(inputs, targets[:, None], model(inputs, training=True))

    @tf.function
    def forward(inputs, targets):
        return loss(inputs, targets)

    @tf.function
    def backward(inputs, targets):
        with tf.GradientTape() as tape:
            total = loss(inputs, targets)
        return tape.gradient(total, model.trainable_variables)

    @tf.function
    def whole(inputs, targets):
        model.optimizer.apply_gradients(zip(backward(inputs, targets), model.trainable_variables, strict=True))

    return {"input": read, **stages(forward, backward, whole, held)}
