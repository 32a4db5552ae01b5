"""Softmax cross-entropy over lists, corrected for how candidates were drawn."""

import tensorflow as tf

from layers.grouping import group_ids, group_sums
from layers.lists import ListLoss, loss_against, total, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class ListSoftmaxLoss(ListLoss):
    """Minus the log of the positives' softmax within their list.

    ListNet's top-one loss (Cao et al., ICML 2007), with the logQ correction (Yi et al., RecSys 2019, section 3). The
    mean over the positives i, weighted by `y_i` times their weight, of

        -log( exp(s_i - log q_i) / Σ_j exp(s_j - log q_j) )

    where `q_j` is the probability with which the item of row j is drawn as a candidate, and j runs over the list. A
    candidate of label 0 whose item is also a positive of the list was drawn by accident, and is left out. So is a
    positive without a row to compare it with.

    Inputs: `logits`, `labels`, from 0 to 1, (G, N); optionally `log_q` and int `items`, their ids, (G, N), or (1, N) if
    all lists hold the same items; and `mask`, `weights`, see :class:`ListLoss`. A batch's matrix of the logits of each
    user and each item is such an input, with the positives on its diagonal. A teacher's probabilities as labels of the
    exposed rows are the distillation term of ASMOL (Zhang et al., arXiv 2305.13647).

    Calibration: the optimum is `exp(s_i)` in proportion to the probability of a positive, so a constant of each list is
    free, and cross-entropy beside it has another optimum; see :class:`RegressionCompatibleLoss`.

    Args:
        keep_positives: whether a positive's sum runs over the other positives too.
    """

    def __init__(self, keep_positives: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.keep_positives = keep_positives

    def loss(self, logits, labels, mask, weights, log_q=None, items=None):
        positive = labels > 0
        if log_q is not None:
            logits = logits - log_q
        if items is not None:
            mask = mask & (positive | ~_is_liked(items, positive))
        if self.keep_positives:
            losses, compared = total(logits, mask) - logits, with_rows(mask, 2, weights * labels)
        else:
            losses, compared = loss_against(logits, mask & ~positive), with_rows(mask & ~positive, 1, weights * labels)
        return weighted_mean(tf.where(positive, losses, 0.0), compared)

    def get_config(self):
        return {**super().get_config(), "keep_positives": self.keep_positives}


def _is_liked(items: tf.Tensor, positive: tf.Tensor) -> tf.Tensor:
    """Whether the item of each row is that of a positive row (G, N) of its list; `items` is (G, N) or (1, N)."""
    lists, places = tf.unstack(tf.shape(positive))
    groups = tf.reshape(group_ids(items) + places * tf.range(lists)[:, tf.newaxis], [-1])
    counts = group_sums(tf.cast(tf.reshape(positive, [-1]), tf.float32), groups)
    return tf.reshape(tf.gather(counts, groups) > 0, [lists, places])
