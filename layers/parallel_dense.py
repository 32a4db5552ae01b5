"""Dense layers side by side, one for each of several vectors."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class ParallelDense(tf.keras.layers.Layer):
    """A dense layer with weights of its own for each of the K vectors of a row.

    MVKE (Xu et al., KDD 2022): what each virtual kernel found passes through an expert of its own.

    Args:
        units: width of the output.
        activation: activation of the output, None for linear.
        seed: seed of the initial weights.

    Example:
        >>> tuple(ParallelDense(5)(tf.ones([6, 3, 4])).shape)
        (6, 3, 5)
    """

    def __init__(self, units: int, activation: str | None = None, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = activation
        self.seed = seed

    def build(self, input_shape):
        _, count, width = tuple(input_shape)
        limit = (6 / (width + self.units)) ** 0.5  # Glorot's, of one of the matrices
        self.kernels = self.add_weight(
            name="kernels",
            shape=(count, width, self.units),
            initializer=tf.keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )
        self.biases = self.add_weight(name="biases", shape=(count, self.units), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        """Map (B, K, D) to (B, K, `units`)."""
        outputs = tf.einsum("bkd,kdu->bku", inputs, tf.convert_to_tensor(self.kernels)) + self.biases
        return outputs if self.activation is None else tf.keras.activations.get(self.activation)(outputs)

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape)[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "activation": self.activation, "seed": self.seed}
