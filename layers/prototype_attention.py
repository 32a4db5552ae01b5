"""Attention over prototypes of the opposite side, as a decoupled model can have it."""

import math

import tensorflow as tf

from layers.vectors import unit


@tf.keras.utils.register_keras_serializable(package="prerank")
class PrototypeAttention(tf.keras.layers.Layer):
    """A gated cross-attention of heads with learned prototypes in place of the other side's heads.

    This project's decoupled variant of the gated cross-attention of RankTower (Yan & Li, arXiv 2407.12385). A head h
    attends over P prototypes by scaled inner products, which gives c, and becomes `unit(h ⊙ σ(W [h, c]) + c)`.

    Args:
        prototypes: number P of prototypes.
        seed: seed of the initial weights.
    """

    def __init__(self, prototypes: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.prototypes = prototypes
        self.seed = seed

    def build(self, input_shape):
        width = tuple(input_shape)[-1]
        # of length 1, as heads are
        initializer = tf.keras.initializers.RandomNormal(stddev=1 / math.sqrt(width), seed=self.seed)
        self.prototype_matrix = self.add_weight(
            name="prototypes", shape=(self.prototypes, width), initializer=initializer
        )
        self.gate_kernel = self.add_weight(
            name="gate_kernel",
            shape=(2 * width, width),
            initializer=tf.keras.initializers.GlorotUniform(seed=self.seed + 1),
        )
        super().build(input_shape)

    def call(self, inputs):
        """Map heads (B, H, d) to heads (B, H, d) of length 1, float32."""
        prototypes = tf.convert_to_tensor(self.prototype_matrix)
        scores = tf.einsum("bhd,pd->bhp", inputs, prototypes) / math.sqrt(inputs.shape[-1])
        found = tf.einsum("bhp,pd->bhd", tf.nn.softmax(scores), prototypes)
        joined = tf.concat([inputs, found], axis=-1)
        gate = tf.sigmoid(tf.einsum("bhd,de->bhe", joined, tf.convert_to_tensor(self.gate_kernel)))
        return unit(inputs * gate + found)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "prototypes": self.prototypes, "seed": self.seed}
