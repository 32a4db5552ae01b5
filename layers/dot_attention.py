"""An item's view of the several vectors of a user."""

import math

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class DotAttention(tf.keras.layers.Layer):
    """Attention of one query a row, by inner products, without weights of its own.

    The last step of Poly-Encoder (Humeau et al., ICLR 2020, section 4.4), and, with the kernels as keys, the
    virtual-kernel gate of MVKE (Xu et al., KDD 2022).

    Args:
        scaled: divide the inner products by the root of their length.
    """

    def __init__(self, scaled: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.scaled = scaled

    def call(self, inputs):
        """Attend with `inputs`: queries (N, D), keys (B, K, D) and values (B', K, E); B and B' are N or 1.

        Returns:
            (N, E) float32.
        """
        queries, keys, values = (tf.cast(part, tf.float32) for part in inputs)  # half floats would tie many scores
        scores = tf.reduce_sum(queries[:, tf.newaxis, :] * keys, axis=-1)
        if self.scaled:
            scores /= math.sqrt(queries.shape[-1])
        return tf.reduce_sum(tf.nn.softmax(scores)[:, :, tf.newaxis] * values, axis=1)

    def compute_output_shape(self, input_shape):
        return (tuple(input_shape[0])[0], tuple(input_shape[2])[-1])

    def get_config(self):
        return {**super().get_config(), "scaled": self.scaled}
