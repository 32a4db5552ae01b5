"""The loss of retrieval models: the liked item against items drawn at random."""

import tensorflow as tf

_EXCLUDED = -1e9


@tf.keras.utils.register_keras_serializable(package="prerank")
class SampledSoftmaxLoss(tf.keras.layers.Layer):
    """Mean over the positives of `-log softmax` of the own item among itself and sampled ones.

    YouTube DNN (Covington et al., RecSys 2016), section 3.1; sampled softmax by Jean et al., ACL 2015. The sampled
    items are to be drawn uniformly, so that the correction by the log of their probability is one constant and cancels.
    A sampled item that is the row's own counts for nothing. Without a positive the loss is 0.

    Args:
        temperature: inner products are divided by it.
    """

    def __init__(self, temperature: float = 0.05, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a sextuple.

        The sextuple is user vectors (B, D), vectors of their items (B, D), vectors of the sampled items (S, D), ids of
        their items (B,), ids of the sampled items (S,), and labels (B,) of 0 and 1.
        """
        user, item, sampled, item_ids, sampled_ids, labels = inputs
        user, item, sampled, labels = (tf.cast(value, tf.float32) for value in (user, item, sampled, labels))
        own = tf.reduce_sum(user * item, axis=-1) / self.temperature
        others = tf.matmul(user, sampled, transpose_b=True) / self.temperature
        others = tf.where(tf.equal(item_ids[:, tf.newaxis], sampled_ids), _EXCLUDED, others)
        total = tf.reduce_logsumexp(tf.concat([own[:, tf.newaxis], others], axis=1), axis=1)
        return tf.math.divide_no_nan(tf.reduce_sum(labels * (total - own)), tf.reduce_sum(labels))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
