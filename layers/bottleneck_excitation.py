"""SENet's gates of fields, with a bottleneck between them."""

import tensorflow as tf

_EPSILON = 1e-5


@tf.keras.utils.register_keras_serializable(package="prerank")
class BottleneckExcitation(tf.keras.layers.Layer):
    """Scales each field by a gate that is computed from the means of all fields, through half as many numbers.

    `z = means of the fields`, `s = σ(W₂ norm(ReLU(W₁ z + b₁)) + b₂)`, `e_f · s_f`, as in the authors' code of MLCC;
    the norm has mean 0 and variance 1 over the bottleneck, without weights. After SENet (Hu et al., CVPR 2018) and
    FiBiNET (Huang et al., RecSys 2019).

    Args:
        seed: seed of the initial weights.

    Example:
        >>> tuple(BottleneckExcitation()(tf.ones([6, 4, 5])).shape)
        (6, 4, 5)
    """

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape):
        fields = tuple(input_shape)[1]
        self.bottleneck = max(2, fields // 2)  # of one number the norm would be 0
        self.squeeze_kernel = self._matrix("squeeze_kernel", (fields, self.bottleneck), self.seed)
        self.squeeze_bias = self.add_weight(name="squeeze_bias", shape=(self.bottleneck,), initializer="zeros")
        self.excite_kernel = self._matrix("excite_kernel", (self.bottleneck, fields), self.seed + 1)
        self.excite_bias = self.add_weight(name="excite_bias", shape=(fields,), initializer="zeros")
        super().build(input_shape)

    def _matrix(self, name, shape, seed):
        return self.add_weight(name=name, shape=shape, initializer=tf.keras.initializers.GlorotUniform(seed=seed))

    def call(self, inputs):
        """Map fields (B, F, E) to the same, gated."""
        means = tf.reduce_mean(inputs, axis=-1)
        hidden = tf.nn.relu(tf.matmul(means, tf.convert_to_tensor(self.squeeze_kernel)) + self.squeeze_bias)
        mean, variance = tf.nn.moments(tf.cast(hidden, tf.float32), axes=[1], keepdims=True)
        normed = tf.cast((tf.cast(hidden, tf.float32) - mean) * tf.math.rsqrt(variance + _EPSILON), inputs.dtype)
        gates = tf.sigmoid(tf.matmul(normed, tf.convert_to_tensor(self.excite_kernel)) + self.excite_bias)
        return inputs * gates[..., tf.newaxis]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
