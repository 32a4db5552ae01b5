"""The multi-positive softmax over what the stages of a cascade did with a request's candidates."""

from collections.abc import Sequence

import tensorflow as tf

from layers.lists import ListLoss, loss_against, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class StageSoftmaxLoss(ListLoss):
    """Each positive of a task against all rows of its list that are none; a task for each stage that counts.

    ASMOL (Zhang et al., arXiv 2305.13647): a request's candidates are exposed, ranked but not exposed, or dropped by
    pre-ranking, and one logit serves the tasks of exposure, click and purchase, of which each includes the next. For
    the task of threshold `h`, row i is a positive if its stage is `g_i >= h`. Summed over the tasks, each with its
    weight, the weighted mean over the task's positives of

        -log( exp(s_i) / (exp(s_i) + Σ_j exp(s_j)) )

    where j runs over the rows of the list with `g_j < h`, so that positives do not compete with each other. A positive
    of a list without such rows is left out.

    Inputs: `logits`, int `stages`, larger for a row that got further, (G, N); and `mask`, `weights`, see
    :class:`ListLoss`.

    Calibration: none. A constant that is added to all logits of a list changes nothing.

    Args:
        thresholds: of each task the lowest stage of its positives.
        task_weights: weight of each task; None for 1 each.

    Raises:
        ValueError: there are not as many weights as thresholds.
    """

    def __init__(self, thresholds: Sequence[int], task_weights: Sequence[float] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.thresholds = list(thresholds)
        self.task_weights = [1.0] * len(self.thresholds) if task_weights is None else list(task_weights)
        if not 0 < len(self.thresholds) == len(self.task_weights):
            raise ValueError(
                "a task needs one threshold and one weight. "
                f"Received: thresholds={self.thresholds}, task_weights={self.task_weights}"
            )

    def loss(self, logits, stages, mask, weights):
        terms = []
        for threshold, weight in zip(self.thresholds, self.task_weights, strict=True):
            positive = mask & (stages >= threshold)
            others = mask & ~positive
            compared = with_rows(others, 1, tf.where(positive, weights, 0.0))
            terms.append(weight * weighted_mean(loss_against(logits, others), compared))
        return tf.add_n(terms)

    def get_config(self):
        return {**super().get_config(), "thresholds": self.thresholds, "task_weights": self.task_weights}
