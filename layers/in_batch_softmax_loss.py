"""Softmax cross-entropy of each row's own item among the items of the whole batch."""

import tensorflow as tf

_LEFT_OUT = -1e9
_LEAST = 1e-30


@tf.keras.utils.register_keras_serializable(package="prerank")
class InBatchSoftmaxLoss(tf.keras.layers.Layer):
    """Minus the log of the softmax of a row's own item, over the items of all rows of the batch.

    With the score `s_ij = <u_i, v_j> + b_j` and the weight w of a row, the mean over the rows i, weighted by w_i, of

        -log( w_i exp(s_ii) / Σ_j w_j exp(s_ij) )  +  c · log²( Σ_j w_j exp(s_ij) / Σ_j w_j )

    This is InfoNCE (van den Oord et al., arXiv 1807.03748, equation 4). As an item is in the batch as often as rows
    have it, the optimum is `s = log( p(v|u) / p(v) )`, up to a constant of each user. The score plus `log p(v)` is what
    the logQ correction gives (Yi et al., RecSys 2019, section 3): there the loss takes a score `s'` minus `log p(v)`.
    An item that several rows have stays in the sum as often: at the optimum the rows then share the probability, while
    to leave it out would raise the scores of frequent items. Of all constants of a user, the second term chooses the
    one with `E_{v~p} exp(s) = 1`, which the optimum without a constant has.

    Rows of weight 0 count neither as positives nor as items. Without any other row the loss is 0.

    Args:
        normalizer_weight: c.
    """

    def __init__(self, normalizer_weight: float = 0.01, **kwargs):
        super().__init__(**kwargs)
        self.normalizer_weight = normalizer_weight

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a quadruple.

        The quadruple is user vectors (B, D), vectors (B, D) and biases (B,) of the rows' own items, and weights (B,).
        """
        user, item, bias, weights = (tf.cast(value, tf.float32) for value in inputs)
        log_weights = tf.where(weights > 0, tf.math.log(tf.maximum(weights, _LEAST)), _LEFT_OUT)
        own = tf.reduce_sum(user * item, axis=-1) + bias + log_weights
        total = tf.reduce_logsumexp(tf.matmul(user, item, transpose_b=True) + bias + log_weights, axis=1)
        normalizer = total - tf.math.log(tf.maximum(tf.reduce_sum(weights), _LEAST))
        losses = total - own + self.normalizer_weight * tf.square(normalizer)
        return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "normalizer_weight": self.normalizer_weight}
