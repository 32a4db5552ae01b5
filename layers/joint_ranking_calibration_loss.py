"""JRC, the joint optimisation of ranking and calibration with two logits a row."""

import tensorflow as tf

from layers.lists import ListLoss, loss_against, total, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class JointRankingCalibrationLoss(ListLoss):
    """Each row has one logit a label: within the row they give a probability, within the list they rank.

    JRC (Sheng et al., KDD 2023, arXiv 2208.06164). With logits `z_i0`, `z_i1` of row i, `z_i` that of its label, and
    `r` the ranking weight, the weighted mean over the rows of

        (1 - r) · -log( exp(z_i) / (exp(z_i0) + exp(z_i1)) )  +  r · -log( exp(z_i) / Σ_j exp(z_jy) )

    where j runs over the list of i, and y is the label of i. The model's logit is `z_i1 - z_i0`. The mean of the second
    term is over the rows of lists of at least two.

    Inputs: `logits` (G, N, 2), that of label 0 first; `labels`, 0 or 1, (G, N); and `mask`, `weights`, see
    :class:`ListLoss`.

    Calibration: both terms have their optimum at σ(z_1 - z_0) = p, if the other rows of the same label are kept.

    Args:
        ranking_weight: weight of the softmax over the list, from 0 to 1; cross-entropy has the rest.
        keep_same_label: whether the sum runs over other rows of the same label too. The paper keeps them, and some
            implementations do not.
    """

    def __init__(self, ranking_weight: float = 0.5, keep_same_label: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.ranking_weight = ranking_weight
        self.keep_same_label = keep_same_label

    def loss(self, logits, labels, mask, weights):
        positive = labels > 0
        of_label = [self._ranking(logits[..., label], mask, positive == bool(label)) for label in (0, 1)]
        ranking = weighted_mean(tf.where(positive, of_label[1], of_label[0]), with_rows(mask, 2, weights))
        regression = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits[..., 1] - logits[..., 0])
        return (1 - self.ranking_weight) * weighted_mean(regression, weights) + self.ranking_weight * ranking

    def _ranking(self, logits: tf.Tensor, mask: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
        if self.keep_same_label:
            return tf.where(mask, total(logits, mask) - logits, 0.0)
        return loss_against(logits, mask & ~same)

    def get_config(self):
        config = {"ranking_weight": self.ranking_weight, "keep_same_label": self.keep_same_label}
        return {**super().get_config(), **config}
