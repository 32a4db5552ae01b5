"""MIND's choice, in training, of the interest that a liked item belongs to."""

import tensorflow as tf

from layers.vectors import unit


@tf.keras.utils.register_keras_serializable(package="prerank")
class LabelAwareAttention(tf.keras.layers.Layer):
    """The mean of a user's interests, weighted by how close each is to the item.

    MIND (Li et al., CIKM 2019, arXiv 1904.08030), section 4.4. The paper raises inner products to a power p before the
    softmax, which puts the weight of an interest that points away from the item first if p is even. Here cosines are
    multiplied by the power: either way 0 gives the plain mean, and a large one the closest interest only.

    Args:
        power: p.
    """

    def __init__(self, power: float = 20.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, inputs):
        """Map `inputs`, a pair (interests (B, K, D), item vectors (B, D)), to user vectors (B, D) float32."""
        interests, item = inputs
        cosines = tf.linalg.matvec(unit(interests), unit(item))
        weights = tf.nn.softmax(self.power * cosines)
        return tf.linalg.matvec(tf.cast(interests, tf.float32), weights, transpose_a=True)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[1])

    def get_config(self):
        return {**super().get_config(), "power": self.power}
