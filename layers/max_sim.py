"""The late interaction of HIT and IntTower."""

import tensorflow as tf

from layers.scaled_similarity import INITIAL_SCALE


@tf.keras.utils.register_keras_serializable(package="prerank")
class MaxSim(tf.keras.layers.Layer):
    """Sum over the user's heads of the largest inner product with one of the item's heads.

    `score = Σ_h max_k <u_h, v_k>`: IntTower (Li et al., CIKM 2022, arXiv 2210.09890), FE-Block; HIT (Yang et al.,
    arXiv 2505.19849), the score.

    Args:
        scaled: multiply by a learned scale, for heads of length 1, whose inner products are cosines.

    Example:
        >>> user = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
        >>> item = tf.constant([[[2.0, 0.0], [0.0, 3.0]]])
        >>> MaxSim()([user, item]).numpy().tolist()  # 2 for the first head, 3 for the second
        [5.0]
    """

    def __init__(self, scaled: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.scaled = scaled

    def build(self, input_shape):
        if self.scaled:
            initializer = tf.keras.initializers.Constant(INITIAL_SCALE)
            self.scale = self.add_weight(name="scale", shape=(), initializer=initializer, autocast=False)
        super().build(input_shape)

    def call(self, inputs):
        """Score `inputs`, a pair (user heads (B, H_u, d), item heads (N, H_v, d)), to (N,) float32; B is N or 1."""
        user_heads, item_heads = (tf.cast(heads, tf.float32) for heads in inputs)  # half floats would tie many scores
        products = tf.matmul(user_heads, item_heads, transpose_b=True)
        score = tf.reduce_sum(tf.reduce_max(products, axis=-1), axis=-1)
        return score * self.scale if self.scaled else score

    def compute_output_shape(self, input_shape):
        return (input_shape[1][0],)

    def get_config(self):
        return {**super().get_config(), "scaled": self.scaled}
