"""HIT's generators: a tower's guess, from its own static fields, of what the opposite tower computes."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class MimicGenerator(tf.keras.layers.Layer):
    """Two dense layers that turn one side's static fields into a mimic of the other side's heads.

    HIT (Yang et al., arXiv 2505.19849), section on the generator. The input is cut off from the gradient, so the
    embeddings are not trained through it. The targets are signed, hence no activation on the last layer by
    default; the authors' public code has ReLU there.

    Args:
        units: width of both layers, the flattened size H·d of the opposite tower's heads.
        output_activation: activation of the last layer, "linear" or "relu".
        seed: seed of the initial weights.

    Example:
        >>> tuple(MimicGenerator(units=6)(tf.ones([5, 4])).shape)
        (5, 6)
    """

    def __init__(self, units: int, output_activation: str = "linear", seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.output_activation = output_activation
        self.seed = seed
        self._hidden = tf.keras.layers.Dense(
            units, "relu", kernel_initializer=tf.keras.initializers.GlorotUniform(seed=seed), name="hidden"
        )
        self._output = tf.keras.layers.Dense(
            units,
            output_activation,
            kernel_initializer=tf.keras.initializers.GlorotUniform(seed=seed + 1),
            name="output",
        )

    def build(self, input_shape):
        with tf.name_scope("hidden"):
            self._hidden.build(input_shape)
        with tf.name_scope("output"):
            self._output.build((*tuple(input_shape)[:-1], self.units))
        super().build(input_shape)

    def call(self, inputs):
        """Map static field embeddings (B, S) to mimic vectors (B, `units`)."""
        return self._output(self._hidden(tf.stop_gradient(inputs)))

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape)[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "output_activation": self.output_activation,
            "seed": self.seed,
        }
