"""The similarity of two vectors as a score."""

from typing import Literal, get_args

import tensorflow as tf

from layers.vectors import unit

Similarity = Literal["scaled_cosine", "cosine", "dot"]

INITIAL_SCALE = 5.0


@tf.keras.utils.register_keras_serializable(package="prerank")
class ScaledSimilarity(tf.keras.layers.Layer):
    """Cosine of two vectors times a learned scale, or one of two published alternatives.

    A cosine with the scale held to 1, as in the public two-tower baselines, confines the logit to an interval of width
    2, so that no probability gets near 0 or 1.

    Args:
        similarity: "scaled_cosine" (default), "cosine" (scale 1) or "dot" (inner product).

    Example:
        >>> user, item = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])
        >>> ScaledSimilarity("dot")([user, item]).numpy().tolist()
        [11.0]
    """

    def __init__(self, similarity: Similarity = "scaled_cosine", **kwargs):
        super().__init__(**kwargs)
        if similarity not in get_args(Similarity):
            raise ValueError(f"similarity must be one of {get_args(Similarity)}. Received: similarity={similarity!r}")
        self.similarity = similarity

    def build(self, input_shape):
        if self.similarity == "scaled_cosine":
            initializer = tf.keras.initializers.Constant(INITIAL_SCALE)
            self.scale = self.add_weight(name="scale", shape=(), initializer=initializer, autocast=False)
        super().build(input_shape)

    def call(self, inputs):
        """Score `inputs`, a pair (user vectors (B, D), item vectors (N, D)), to (N,) float32; B is N or 1."""
        user, item = (tf.cast(vectors, tf.float32) for vectors in inputs)
        if self.similarity != "dot":
            user, item = unit(user), unit(item)
        score = tf.reduce_sum(user * item, axis=-1)
        return score * self.scale if self.similarity == "scaled_cosine" else score

    def compute_output_shape(self, input_shape):
        return (input_shape[1][0],)

    def get_config(self):
        return {**super().get_config(), "similarity": self.similarity}
