"""A listwise loss over the rows of a batch that belong together."""

import tensorflow as tf

from layers.grouping import group_ids, group_sums


@tf.keras.utils.register_keras_serializable(package="prerank")
class ListwiseLoss(tf.keras.layers.Layer):
    """Softmax cross-entropy of the positives within the lists of a batch.

    ListNet's top-one loss (Cao et al., ICML 2007) for binary labels: the mean over the positives, of lists of at least
    two rows, of minus the log of their softmax within their list. Without such a positive it is 0.
    """

    def call(self, inputs):
        """Return a float32 scalar for a triple: logits (B,), labels (B,), and (B,) ints, the same within a list."""
        logits, labels = (tf.reshape(tf.cast(part, tf.float32), [-1]) for part in inputs[:2])
        groups = group_ids(inputs[2])
        # the largest logit of the batch would let the powers of a list underflow
        largest = tf.math.unsorted_segment_max(tf.stop_gradient(logits), groups, tf.shape(groups)[0])
        shifted = logits - tf.gather(largest, groups)
        totals = tf.gather(group_sums(tf.exp(shifted), groups), groups)
        sizes = tf.gather(group_sums(tf.ones_like(logits), groups), groups)
        selected = labels * tf.cast(sizes >= 2, tf.float32)
        losses = tf.math.log(totals) - shifted
        return tf.math.divide_no_nan(tf.reduce_sum(selected * losses), tf.reduce_sum(selected))

    def compute_output_shape(self, input_shape):
        return ()
