"""Learned queries that look at a user from several sides."""

import math

import tensorflow as tf

_MASKED = -1e9


@tf.keras.utils.register_keras_serializable(package="prerank")
class CodeAttention(tf.keras.layers.Layer):
    """K learned codes attend over the fields of a row, each row by itself.

    The codes of Poly-Encoder (Humeau et al., ICLR 2020, section 4.4) and the virtual kernels of MVKE (Xu et al., KDD
    2022, the virtual-kernel experts). The fields are projected to D; the projections are keys and values, and the
    codes queries, of an attention by scaled inner products.

    Args:
        codes: number K of codes.
        units: size D of a code and of a projected field.
        seed: seed of the initial weights.

    Example:
        >>> tuple(CodeAttention(3, 5)([tf.ones([6, 7, 4]), tf.ones([6, 7])]).shape)
        (6, 3, 5)
    """

    def __init__(self, codes: int, units: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.codes = codes
        self.units = units
        self.seed = seed
        initializer = tf.keras.initializers.GlorotUniform(seed=seed)
        self._project = tf.keras.layers.Dense(units, kernel_initializer=initializer, name="project")

    def build(self, input_shape):
        shape = input_shape[0]
        self._project.build(shape)
        self.code_matrix = self.add_weight(
            name="codes",
            shape=(self.codes, self.units),
            initializer=tf.keras.initializers.GlorotUniform(seed=self.seed + 1),
        )
        super().build(input_shape)

    def call(self, inputs):
        """Attend over `inputs`, a pair: fields (B, F, E), and a mask (B, F), 1 for one that exists.

        Returns:
            (B, K, D); zeros for a row in which no field exists.
        """
        fields, mask = inputs
        projected = self._project(fields)
        scores = tf.einsum("kd,bfd->bkf", tf.convert_to_tensor(self.code_matrix), projected)
        scores = tf.cast(scores, tf.float32) / math.sqrt(self.units)
        mask = tf.cast(mask, tf.bool)[:, tf.newaxis, :]
        weights = tf.where(mask, tf.nn.softmax(tf.where(mask, scores, _MASKED)), 0.0)
        return tf.matmul(tf.cast(weights, projected.dtype), projected)

    def compute_output_shape(self, input_shape):
        return (tuple(input_shape[0])[0], self.codes, self.units)

    def get_config(self):
        return {**super().get_config(), "codes": self.codes, "units": self.units, "seed": self.seed}
