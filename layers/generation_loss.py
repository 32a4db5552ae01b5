"""HIT's generation loss and the variants its authors tried."""

from typing import Literal, get_args

import tensorflow as tf

from layers.vectors import norm

GenerationLossKind = Literal["cosine", "mse", "mae", "euclidean", "manhattan", "reference_cosine"]


def cosine(mimic: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Cosine (B,) of two (B, D) tensors, each norm floored at 1e-3."""
    return tf.reduce_sum(mimic * target, axis=-1) / (norm(mimic) * norm(target))


_DISTANCES = {
    "cosine": lambda mimic, target: 1.0 - cosine(mimic, target),
    "mse": lambda mimic, target: tf.reduce_mean(tf.square(mimic - target), axis=-1),
    "mae": lambda mimic, target: tf.reduce_mean(tf.abs(mimic - target), axis=-1),
    "euclidean": lambda mimic, target: norm(mimic - target),
    "manhattan": lambda mimic, target: tf.reduce_sum(tf.abs(mimic - target), axis=-1),
}


@tf.keras.utils.register_keras_serializable(package="prerank")
class GenerationLoss(tf.keras.layers.Layer):
    """How far mimic vectors are from the opposite tower's heads, over the selected rows of a batch.

    HIT (Yang et al., arXiv 2505.19849), the generation loss: the mean over the positives (negatives) of
    `1 - cos(mimic, stop_gradient(target))` trains the positive (negative) generator. Without a selected row
    it is 0.

    Args:
        kind: "cosine" (default); "mse", "mae" (mean over the dimensions), "euclidean" and "manhattan"
            (norms), the authors' ablations; "reference_cosine", what the public code minimises:
            `mean(selected * cos)` over the whole batch, of the opposite sign.

    Example:
        >>> mimic, target, selected = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]]), tf.constant([1.0])
        >>> float(GenerationLoss()([mimic, target, selected]))  # 1 less a cosine of 0
        1.0
    """

    def __init__(self, kind: GenerationLossKind = "cosine", **kwargs):
        super().__init__(**kwargs)
        if kind not in get_args(GenerationLossKind):
            raise ValueError(f"kind must be one of {get_args(GenerationLossKind)}. Received: kind={kind!r}")
        self.kind = kind

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a triple.

        The triple is the mimic vectors (B, D), the target vectors (B, D), and (B,) or (B, 1) with 1 for a
        selected row and 0 for another.
        """
        mimic, target, selected = inputs
        mimic = tf.cast(mimic, tf.float32)
        target = tf.stop_gradient(tf.cast(target, tf.float32))
        selected = tf.reshape(tf.cast(selected, tf.float32), [-1])
        if self.kind == "reference_cosine":
            return tf.reduce_mean(selected * cosine(mimic, target))
        distance = _DISTANCES[self.kind](mimic, target)
        return tf.math.divide_no_nan(tf.reduce_sum(selected * distance), tf.reduce_sum(selected))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
