"""IntTower's contrastive regularisation: a user is nearer to the item they liked than to the batch's others."""

import tensorflow as tf

from layers.vectors import unit

_EXCLUDED = -1e9


@tf.keras.utils.register_keras_serializable(package="prerank")
class ContrastiveLoss(tf.keras.layers.Layer):
    """In-batch InfoNCE from user to item, which leaves out the user's other positives.

    CIR of IntTower (Li et al., CIKM 2022, arXiv 2210.09890). With cosines `s_ij` of user i and item j, the mean over
    the rows i of label 1 of

        -log( exp(s_ii / τ) / (exp(s_ii / τ) + Σ_j exp(s_ij / τ)) )

    where j runs over the rows whose item is, in this batch, no positive of user i; that excludes row i's own item too.
    Without a row of label 1 it is 0.

    Args:
        temperature: τ.
    """

    def __init__(self, temperature: float = 0.07, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a quintuple.

        The quintuple is user vectors (B, D), item vectors (B, D), labels (B,) of 0 and 1, user ids (B,) int32, and
        item ids (B,) int32.
        """
        user, item, labels, user_ids, item_ids = inputs
        anchors = tf.cast(labels, tf.float32)
        cosines = tf.matmul(unit(user), unit(item), transpose_b=True) / self.temperature
        own = tf.linalg.diag_part(cosines)
        others = tf.where(_positive_pairs(anchors, user_ids, item_ids), _EXCLUDED, cosines)
        total = tf.reduce_logsumexp(tf.concat([own[:, tf.newaxis], others], axis=1), axis=1)
        return tf.math.divide_no_nan(tf.reduce_sum(anchors * (total - own)), tf.reduce_sum(anchors))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def _positive_pairs(anchors: tf.Tensor, user_ids: tf.Tensor, item_ids: tf.Tensor) -> tf.Tensor:
    """(B, B) bool: row i's user likes row j's item in some row of the batch. Each id stands for its first row."""
    first_user, first_item = _first_row(user_ids), _first_row(item_ids)
    size = tf.size(user_ids)
    pairs = tf.stack([first_user, first_item], axis=1)
    liked = tf.scatter_nd(pairs, anchors, tf.stack([size, size])) > 0
    return tf.gather(tf.gather(liked, first_user), first_item, axis=1)


def _first_row(ids: tf.Tensor) -> tf.Tensor:
    return tf.argmax(tf.equal(ids[:, tf.newaxis], ids), axis=1, output_type=tf.int32)
