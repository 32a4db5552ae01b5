"""Full-stage learning to rank: pairs of rows that got differently far in the cascade."""

from collections.abc import Sequence

import tensorflow as tf

from layers.lists import ListLoss, differences, pair_weights, weighted_mean


@tf.keras.utils.register_keras_serializable(package="prerank")
class FullStageLoss(ListLoss):
    """Of two rows of a list, the one that got further in the cascade is to have the higher logit.

    Full-stage learning to rank (Zheng et al., arXiv 2405.04844), in the form of FS-RankNet in the code of RecFlow (Liu
    et al., ICLR 2025, arXiv 2410.20868): a stage says what became of a candidate, such as dropped by pre-ranking,
    dropped by ranking, shown, clicked. The weighted mean over the pairs of a list with stages `g_i > g_j` of

        log(1 + exp(-(s_i - s_j)))

    where a pair has the weight `stage_weights[g_i]` times that of row i.

    Inputs: `logits`, int `stages`, larger for a row that got further, (G, N); and `mask`, `weights`, see
    :class:`ListLoss`.

    Calibration: none. A constant that is added to all logits of a list changes nothing, and stages are no probability.

    Args:
        stage_weights: weight of a pair by the stage of its better row, from stage 0 on; None for 1 each.
    """

    def __init__(self, stage_weights: Sequence[float] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.stage_weights = None if stage_weights is None else [float(weight) for weight in stage_weights]

    def loss(self, logits, stages, mask, weights):
        pairs = pair_weights(stages, weights, mask)
        if self.stage_weights is not None:
            pairs *= tf.gather(self.stage_weights, tf.cast(stages, tf.int32))[:, :, tf.newaxis]
        return weighted_mean(tf.nn.softplus(-differences(logits)), pairs)

    def get_config(self):
        return {**super().get_config(), "stage_weights": self.stage_weights}
