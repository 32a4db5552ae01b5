"""Distillation from a teacher's probabilities, row by row."""

import tensorflow as tf

from layers.lists import ListLoss, weighted_mean


@tf.keras.utils.register_keras_serializable(package="prerank")
class PointwiseDistillationLoss(ListLoss):
    """The student is to give the teacher's probabilities.

    Hinton et al., arXiv 1503.02531, for two classes; as in privileged features distillation (Xu et al., KDD 2020). The
    weighted mean over the rows of

        T² · BCE(σ(t_i / T), s_i / T)

    which trains the student only. The factor keeps the gradients' size at any T.

    Inputs: `logits` and the `teacher`'s logits, (G, N); and `mask`, `weights`, see :class:`ListLoss`.

    Calibration: at T = 1 the optimum is the mean of the teacher's probabilities given the student's features, as well
    calibrated as the teacher. At another T it is so only where the student can follow the teacher exactly.

    Args:
        temperature: T.
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def loss(self, logits, teacher, mask, weights):
        soft = tf.sigmoid(tf.stop_gradient(teacher) / self.temperature)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(soft, logits / self.temperature)
        return self.temperature**2 * weighted_mean(losses, weights)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
