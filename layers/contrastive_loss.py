"""IntTower's contrastive regularisation: a user is nearer to the item they liked than to the batch's others."""

import tensorflow as tf

from layers.grouping import group_ids
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
        xla: use only operations that XLA compiles; slower elsewhere.
    """

    def __init__(self, temperature: float = 0.07, xla: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature
        self.xla = xla

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a quintuple.

        The quintuple is user vectors (B, D), item vectors (B, D), labels (B,) of 0 and 1, user ids (B,) int32, and
        item ids (B,) int32.
        """
        user, item, labels, user_ids, item_ids = inputs
        anchors = tf.cast(labels, tf.float32)
        users, items, user, item = self._number(user_ids), self._number(item_ids), unit(user), unit(item)
        excluded = self._liked(anchors, users, items)
        own_item = item
        if not self.xla:  # the other rows' losses count nothing
            rows = tf.where(anchors > 0)[:, 0]
            user, own_item, users, anchors = (tf.gather(part, rows) for part in (user, item, users, anchors))
        own = tf.reduce_sum(user * own_item, axis=1) / self.temperature
        cosines = tf.matmul(user / self.temperature, item, transpose_b=True)
        others = tf.reduce_logsumexp(tf.where(tf.gather(excluded, users), _EXCLUDED, cosines), axis=1)
        # log(exp(own) + exp(others)) - own
        losses = tf.nn.softplus(others - own)
        return tf.math.divide_no_nan(tf.reduce_sum(anchors * losses), tf.reduce_sum(anchors))

    def _number(self, ids: tf.Tensor) -> tf.Tensor:
        """Small numbers for ids (B,), equal for equal ids."""
        return group_ids(ids) if self.xla else tf.unique(ids).idx

    def _liked(self, anchors: tf.Tensor, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """(users, B) bool: some row of the batch says that the user likes the item of that row."""
        size = tf.fill([2], tf.size(items)) if self.xla else tf.stack([tf.reduce_max(items), tf.reduce_max(users)]) + 1
        by_item = tf.scatter_nd(tf.stack([items, users], axis=1), anchors, size) > 0
        # Rows are gathered and turned around: gathering columns takes ten times as long.
        return tf.transpose(tf.gather(by_item, items))

    def compute_output_shape(self, input_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "xla": self.xla}
