"""Numbers as vectors of the size of an embedding, for models that treat fields alike."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class NumberEmbedding(tf.keras.layers.Layer):
    """A learned vector for each number, times the number.

    AutoInt (Song et al., CIKM 2019), section 4.3, equation 4.

    Args:
        embedding_dim: size E of a vector.
        seed: seed of the initial vectors.
    """

    def __init__(self, embedding_dim: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.seed = seed

    def build(self, input_shape):
        self.vectors = self.add_weight(
            name="vectors",
            shape=(tuple(input_shape)[-1], self.embedding_dim),
            initializer=tf.keras.initializers.GlorotUniform(seed=self.seed),
        )
        super().build(input_shape)

    def call(self, inputs):
        """Map numbers (B, M) to (B, M, E)."""
        return inputs[:, :, tf.newaxis] * tf.convert_to_tensor(self.vectors)

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape), self.embedding_dim)

    def get_config(self):
        return {**super().get_config(), "embedding_dim": self.embedding_dim, "seed": self.seed}
