"""RCR, a listwise loss that leaves the probabilities calibrated."""

import tensorflow as tf

from layers.lists import ListLoss, total, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class RegressionCompatibleLoss(ListLoss):
    """Cross-entropy, and a listwise loss on probabilities that has the same optimum.

    Regression compatible ranking (Bai et al., CIKM 2023, arXiv 2211.01494). With `r` the ranking weight,

        (1 - r) · mean_i BCE(y_i, s_i)  +  r · -(1 / C) Σ_i y_i log( σ(s_i) / Σ_j σ(s_j) )

    where j runs over the list of i, and C is the sum of `y_i` over the batch. The mean and both sums are weighted. The
    second term is over lists of at least two rows.

    Inputs: `logits`, `labels`, from 0 to 1, (G, N); and `mask`, `weights`, see :class:`ListLoss`.

    Calibration: both terms have their optimum at σ(s) = p. Theirs divides by the positives of each list. That would
    move the optimum where a list may have several positives, so here C is of the whole batch.

    Args:
        ranking_weight: weight of the listwise loss, from 0 to 1; cross-entropy has the rest.
    """

    def __init__(self, ranking_weight: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.ranking_weight = ranking_weight

    def loss(self, logits, labels, mask, weights):
        regression = weighted_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), weights)
        logs = tf.math.log_sigmoid(logits)
        compared = with_rows(mask, 2, weights * labels)
        ranking = weighted_mean(tf.where(mask, total(logs, mask) - logs, 0.0), compared)
        return (1 - self.ranking_weight) * regression + self.ranking_weight * ranking

    def get_config(self):
        return {**super().get_config(), "ranking_weight": self.ranking_weight}
