"""RankTower's multi-head gated network."""

import tensorflow as tf

from layers.vectors import unit


@tf.keras.utils.register_keras_serializable(package="prerank")
class GatedHeads(tf.keras.layers.Layer):
    """H heads of size d and length 1, each a linear map times a gate: `unit(dense_h(x) ⊙ σ(gate_h(x)))`.

    RankTower (Yan & Li, arXiv 2407.12385), multi-head gated network.

    Args:
        heads: number of heads H.
        head_dim: size d of a head.
        seed: seed of the initial weights.

    Example:
        >>> tuple(GatedHeads(3, 2)(tf.ones([6, 4])).shape)
        (6, 3, 2)
    """

    def __init__(self, heads: int, head_dim: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.head_dim = head_dim
        self.seed = seed
        self._values = self._dense(None, "values", seed)
        self._gates = self._dense("sigmoid", "gates", seed + 1)

    def _dense(self, activation, name, seed):
        initializer = tf.keras.initializers.GlorotUniform(seed=seed)
        return tf.keras.layers.Dense(self.heads * self.head_dim, activation, kernel_initializer=initializer, name=name)

    def build(self, input_shape):
        for layer in (self._values, self._gates):
            with tf.name_scope(layer.name):
                layer.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        """Map (B, D) to heads (B, H, d), float32."""
        return unit(tf.reshape(self._values(inputs) * self._gates(inputs), [-1, self.heads, self.head_dim]))

    def compute_output_shape(self, input_shape):
        return (tuple(input_shape)[0], self.heads, self.head_dim)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "head_dim": self.head_dim, "seed": self.seed}
