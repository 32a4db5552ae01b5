"""The pairwise logistic loss within lists."""

import tensorflow as tf

from layers.lists import ListLoss, differences, pair_weights, weighted_mean


@tf.keras.utils.register_keras_serializable(package="prerank")
class PairwiseLoss(ListLoss):
    """The better row of each pair of a list is to have the higher logit.

    RankNet (Burges et al., ICML 2005). The weighted mean, over the pairs of a list with labels `y_i > y_j`, of

        log(1 + exp(m_ij - (s_i - s_j)))

    where the margin `m_ij` is `margin`, or with a teacher `margin · max(0, t_i - t_j)`. A pair has the
    weight of row i. Labels may be grades, or the scores of a teacher.

    Inputs: `logits`, `labels`, optionally `teacher`, all (G, N); and `mask`, `weights`, see :class:`ListLoss`.

    Calibration: a constant that is added to all logits of a list changes nothing, so it needs cross-entropy beside it.
    If the labels of a list are independent and there is no margin, both have their optimum at the same logits.

    Args:
        margin: how far apart the logits of a pair should be.
    """

    def __init__(self, margin: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin

    def loss(self, logits, labels, mask, weights, teacher=None):
        margin = self.margin if teacher is None else self.margin * tf.nn.relu(differences(tf.stop_gradient(teacher)))
        losses = tf.nn.softplus(margin - differences(logits))
        return weighted_mean(losses, pair_weights(labels, weights, mask))

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
