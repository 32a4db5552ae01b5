"""IntTower's light squeeze-and-excitation: fields that matter weigh more."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class LightSE(tf.keras.layers.Layer):
    """Scales each field by one plus its share of attention: `e_f · (1 + a_f)`, `a = softmax(W z + b)`.

    IntTower (Li et al., CIKM 2022, arXiv 2210.09890), Light-SE: `z_f` is the mean of field f's embedding.

    Args:
        seed: seed of the initial weights.

    Example:
        >>> tuple(LightSE()(tf.ones([6, 3, 4])).shape)
        (6, 3, 4)
    """

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape):
        fields = tuple(input_shape)[1]
        initializer = tf.keras.initializers.GlorotUniform(seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(fields, fields), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(fields,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        """Map field embeddings (B, F, E) to the same, reweighted."""
        squeezed = tf.reduce_mean(inputs, axis=-1)
        kernel, bias = tf.cast(self.kernel, inputs.dtype), tf.cast(self.bias, inputs.dtype)
        attention = tf.nn.softmax(tf.matmul(squeezed, kernel) + bias, axis=-1)
        return inputs * (1 + attention[..., tf.newaxis])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
