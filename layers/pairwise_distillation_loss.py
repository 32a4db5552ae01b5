"""Distillation from a teacher's differences within lists."""

import tensorflow as tf

from layers.lists import ListLoss, differences, pair_weights, weighted_mean


@tf.keras.utils.register_keras_serializable(package="prerank")
class PairwiseDistillationLoss(ListLoss):
    """The student is to tell the rows of a list apart at least as far as the teacher does.

    A hinge with the teacher's margin, as in EasyRec's knowledge distillation. The weighted mean over the pairs of a
    list with teacher logits `t_i > t_j` of

        max(0, (t_i - t_j) - (s_i - s_j))

    where a pair has the weight of row i. It trains the student only. For the teacher's order without its margin, give
    the teacher's logits to :class:`PairwiseLoss` as labels.

    Inputs: `logits` and the `teacher`'s logits, (G, N); and `mask`, `weights`, see :class:`ListLoss`.

    Calibration: none. A constant that is added to all logits of a list changes nothing, and neither does more contrast.
    """

    def loss(self, logits, teacher, mask, weights):
        teacher = tf.stop_gradient(teacher)
        losses = tf.nn.relu(differences(teacher) - differences(logits))
        return weighted_mean(losses, pair_weights(teacher, weights, mask))
