"""UniMatch's loss: which item a user takes, and which user takes an item, by one score."""

import tensorflow as tf

_LEFT_OUT = -1e9
_LEAST = 1e-30


@tf.keras.utils.register_keras_serializable(package="prerank")
class BidirectionalSoftmaxLoss(tf.keras.layers.Layer):
    """In-batch softmax over items and over users, each corrected for how often the others occur.

    Bidirectional bias-corrected NCE, after UniMatch (arXiv 2307.09989); our reading of it. With the scores
    `s_ij = <u_i, v_j> / τ`, weights w of the rows, and the shares p of users and items in the training part, the mean
    over the rows i, weighted by w_i, of

        α · -log( w_i exp(s_ii − log p(v_i)) / Σ_j w_j exp(s_ij − log p(v_j)) )
        + β · -log( w_i exp(s_ii − log p(u_i)) / Σ_j w_j exp(s_ji − log p(u_j)) )

    Over all rows the optimum is `s = log p(u, v)`, up to one constant. So one score orders items for a user and users
    for an item. α only gives `log p(v|u)`, up to a constant of each user. A user or an item that several rows have
    stays in the sum as often, as the shares take account of it. Without a row of positive weight the loss is 0.

    Args:
        temperature: τ.
        item_weight: α.
        user_weight: β.

    Example:
        >>> one = tf.ones([1, 2])
        >>> float(BidirectionalSoftmaxLoss()([one, one, tf.zeros([1]), tf.zeros([1]), tf.ones([1])]))  # no other row
        0.0
    """

    def __init__(self, temperature: float = 0.05, item_weight: float = 1.0, user_weight: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature
        self.item_weight = item_weight
        self.user_weight = user_weight

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a quintuple.

        The quintuple is user vectors (B, D), vectors (B, D) of the rows' items, the log shares (B,) of the users and
        (B,) of the items, and weights (B,).
        """
        user, item, log_users, log_items, weights = (tf.cast(value, tf.float32) for value in inputs)
        log_weights = tf.where(weights > 0, tf.math.log(tf.maximum(weights, _LEAST)), _LEFT_OUT)
        scores = tf.matmul(user, item, transpose_b=True) / self.temperature
        over_items = _losses(scores, log_weights - log_items)
        over_users = _losses(tf.transpose(scores), log_weights - log_users)
        losses = self.item_weight * over_items + self.user_weight * over_users
        return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        own = {"temperature": self.temperature, "item_weight": self.item_weight, "user_weight": self.user_weight}
        return {**super().get_config(), **own}


def _losses(scores: tf.Tensor, corrections: tf.Tensor) -> tf.Tensor:
    """Minus the log softmax (B,) of the diagonal of scores (B, B) along rows, with corrections (B,) of the columns."""
    corrected = scores + corrections
    return tf.reduce_logsumexp(corrected, axis=1) - tf.linalg.diag_part(corrected)
