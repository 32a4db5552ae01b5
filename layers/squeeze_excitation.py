"""COLD's squeeze-and-excitation: how much each field matters, seen all together."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class SqueezeExcitation(tf.keras.layers.Layer):
    """Scales each field by a gate: `e_f · s_f`, `s = σ(W [e_1, ..., e_F] + b)`.

    COLD (Wang et al., DLP-KDD 2020), feature selection by the squeeze-and-excitation block.

    Args:
        seed: seed of the initial weights.

    Example:
        >>> tuple(SqueezeExcitation()(tf.ones([6, 3, 4])).shape)
        (6, 3, 4)
    """

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape):
        _, fields, width = tuple(input_shape)
        initializer = tf.keras.initializers.GlorotUniform(seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(fields * width, fields), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(fields,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        """Map field embeddings (B, F, E) to the same, gated."""
        kernel, bias = tf.cast(self.kernel, inputs.dtype), tf.cast(self.bias, inputs.dtype)
        flat = tf.reshape(inputs, [-1, self.kernel.shape[0]])
        return inputs * tf.sigmoid(tf.matmul(flat, kernel) + bias)[..., tf.newaxis]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
