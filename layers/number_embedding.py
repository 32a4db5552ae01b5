"""Numbers as fields, for models that weigh fields against each other."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class NumberEmbedding(tf.keras.layers.Layer):
    """A learned vector a number, times the number.

    AutoInt (Song et al., CIKM 2019), section 4.2, embeds numerical fields so; without it a single number could not
    stand beside embeddings.

    Args:
        embedding_dim: size E of the vectors.
        stddev: standard deviation of the initial values.
        seed: seed of the initial vectors.
    """

    def __init__(self, embedding_dim: int, stddev: float = 0.1, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.stddev = stddev
        self.seed = seed

    def build(self, input_shape):
        shape = (tuple(input_shape)[-1], self.embedding_dim)
        initializer = tf.keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed)
        self.vectors = self.add_weight(name="vectors", shape=shape, initializer=initializer)
        super().build(input_shape)

    def call(self, inputs):
        """Map numbers (B, N) to vectors (B, N, E)."""
        return inputs[..., tf.newaxis] * tf.cast(self.vectors, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape), self.embedding_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "stddev": self.stddev,
            "seed": self.seed,
        }
