"""The loss of retrieval models whose negatives are not drawn uniformly: corrected for how often an item is drawn."""

import tensorflow as tf

_EXCLUDED = -1e9
_LEAST = 1e-30


@tf.keras.utils.register_keras_serializable(package="prerank")
class LogQSoftmaxLoss(tf.keras.layers.Layer):
    """Minus the log softmax of the own item among itself and negatives, each less the log of its probability q.

    The logQ correction (Yi et al., RecSys 2019, section 3). With `s = <u, v> / τ`, the mean over the positives i of

        -log( exp(s_i − log q_i) / (exp(s_i − log q_i) + Σ_j exp(s_ij − log q_j)) )

    As the own item is not drawn, that is biased. The refined correction (arXiv 2507.09331; the estimate of P is our
    reading) takes it out of the sum. With the negatives' mean as an estimate of their sum over the catalogue,

        Z_i = mean_j exp(s_ij) (1 − q_i) / q_j,   P_i = exp(s_i) / (exp(s_i) + Z_i)
        (1 − P_i) · (log Z_i − s_i)

    where no gradient reaches the factor. If every other item is a negative once and all are drawn alike, its gradient
    is that of the softmax over the catalogue.

    A negative that is the row's own item was drawn by accident, and counts for nothing; so does one of weight 0. A
    positive without any negative counts for nothing either. Without a positive the loss is 0.

    Args:
        temperature: τ.
        refined: take the refined correction.
    """

    def __init__(self, temperature: float = 0.05, refined: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature
        self.refined = refined

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a dictionary.

        Of the rows: `user` (B, D); `item` (B, D), `item_ids` (B,) and `item_log_q` (B,) of their own items; and
        `labels` (B,), 0 or how much a positive counts. Of the negatives: `negative` (N, D), `negative_ids` (N,),
        `negative_log_q` (N,), and `negative_weights` (N,), 0 for one that is none.
        """
        floats = ("user", "item", "item_log_q", "labels", "negative", "negative_log_q", "negative_weights")
        given = {name: tf.cast(inputs[name], tf.float32) for name in floats}
        own = tf.reduce_sum(given["user"] * given["item"], axis=-1) / self.temperature
        others = tf.matmul(given["user"], given["negative"], transpose_b=True) / self.temperature
        left_out = tf.equal(inputs["item_ids"][:, tf.newaxis], inputs["negative_ids"])
        left_out |= given["negative_weights"] <= 0
        others = tf.where(left_out, _EXCLUDED, others - given["negative_log_q"])
        counts = tf.reduce_sum(tf.cast(~left_out, tf.float32), axis=1)
        total = tf.reduce_logsumexp(others, axis=1)
        if self.refined:
            losses = _refined(own, total, counts, given["item_log_q"])
        else:
            losses = tf.nn.softplus(total - own + given["item_log_q"])
        weights = tf.where(counts > 0, given["labels"], 0.0)
        losses = tf.where(weights > 0, losses, 0.0)
        return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "refined": self.refined}


def _refined(own: tf.Tensor, total: tf.Tensor, counts: tf.Tensor, log_q: tf.Tensor) -> tf.Tensor:
    """The losses (B,) of the refined correction, of own scores, of the negatives' log sums and of their counts."""
    log_rest = tf.math.log(tf.maximum(-tf.math.expm1(log_q), _LEAST))
    log_z = total - tf.math.log(tf.maximum(counts, 1.0)) + log_rest
    return tf.stop_gradient(tf.sigmoid(log_z - own)) * (log_z - own)
