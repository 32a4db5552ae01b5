"""What several networks say together of one probability, and how far two of them are apart."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class ConfidenceFusion(tf.keras.layers.Layer):
    """The logit of a mean of M probabilities, each weighed by how certain it is.

    After CETNet (arXiv 2411.13700): `p = Σ w_m p_m` with `w = softmax(c / T)` and `c_m = p_m log p_m + (1 − p_m)
    log(1 − p_m)`, minus the entropy.

    Args:
        temperature: T.

    Example:
        >>> round(float(ConfidenceFusion()(tf.constant([[2.0, 2.0]]))[0]), 4)  # all agree
        2.0
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, inputs):
        """Map logits (B, M) to one logit (B,) float32."""
        logits = tf.cast(inputs, tf.float32)
        of_one, of_zero = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
        certainty = tf.exp(of_one) * of_one + tf.exp(of_zero) * of_zero
        weights = tf.nn.log_softmax(certainty / self.temperature)
        return tf.reduce_logsumexp(weights + of_one, axis=1) - tf.reduce_logsumexp(weights + of_zero, axis=1)

    def compute_output_shape(self, input_shape):
        return (tuple(input_shape)[0],)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@tf.keras.utils.register_keras_serializable(package="prerank")
class SymmetricDivergenceLoss(tf.keras.layers.Layer):
    """Half the sum of the Kullback-Leibler divergences of two probabilities from each other, in nats.

    Of probabilities p and q with the logits a and b that is `½ (p − q)(a − b)`. The mean over the rows by their
    weights; 0 without a row of positive weight. Its gradient reaches both.
    """

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a triple of logits (B,), logits (B,), and weights (B,)."""
        first, second, weights = (tf.cast(value, tf.float32) for value in inputs)
        losses = 0.5 * (tf.sigmoid(first) - tf.sigmoid(second)) * (first - second)
        return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))

    def compute_output_shape(self, input_shape):
        return ()
