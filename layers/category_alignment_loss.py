"""DAT's category alignment loss."""

import tensorflow as tf

from layers.grouping import group_ids, group_sums

_NO_CATEGORY = 0


@tf.keras.utils.register_keras_serializable(package="prerank")
class CategoryAlignmentLoss(tf.keras.layers.Layer):
    """How far the item vectors of a batch's categories are from those of its largest one, in second moments.

    DAT (Yu et al., DLP-KDD 2021), category alignment: the sum, over the categories with at least two rows in the batch,
    of the squared Frobenius distance between the covariance of their vectors and that of the largest category's. The
    covariances are the biased ones. Of several largest categories the one of the lowest index counts; rows with index 0
    have no category.
    """

    def call(self, inputs):
        """Return a float32 scalar for a pair: vectors (B, D) and indices (B,) of their categories."""
        vectors, categories = tf.cast(inputs[0], tf.float32), inputs[1]
        groups = group_ids(categories)
        present = tf.cast(tf.not_equal(categories, _NO_CATEGORY), tf.float32)
        sizes = group_sums(present, groups)
        means = tf.math.divide_no_nan(group_sums(vectors * present[:, tf.newaxis], groups), sizes[:, tf.newaxis])
        centred = (vectors - tf.gather(means, groups)) * present[:, tf.newaxis]
        products = group_sums(centred[:, :, tf.newaxis] * centred[:, tf.newaxis, :], groups)
        covariances = tf.math.divide_no_nan(products, sizes[:, tf.newaxis, tf.newaxis])
        largest = tf.argmax(sizes, output_type=tf.int32)
        distances = tf.reduce_sum(tf.square(covariances - covariances[largest]), axis=[1, 2])
        return tf.reduce_sum(tf.where(sizes >= 2, distances, 0.0))

    def compute_output_shape(self, input_shape):
        return ()
