"""Distillation from a teacher's softmax over lists."""

import tensorflow as tf

from layers.lists import ListLoss, total, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class ListwiseDistillationLoss(ListLoss):
    """The student's softmax over a list is to be the teacher's.

    ListNet's top-one loss (Cao et al., ICML 2007) with the teacher's scores as relevances, and a temperature as in
    EasyRec's listwise distillation. The weighted mean over the lists of

        -T² Σ_i softmax(t / T)_i · log softmax(s / T)_i

    which trains the student only. A row's weight multiplies its term, and weights that are the same in a list are the
    list's. Lists of one row are left out, as they teach nothing.

    Inputs: `logits` and the `teacher`'s logits, (G, N); and `mask`, `weights`, see :class:`ListLoss`.

    Calibration: none. A constant that is added to all logits of a list changes nothing.

    Args:
        temperature: T.
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def loss(self, logits, teacher, mask, weights):
        teacher = tf.stop_gradient(teacher) / self.temperature
        shares = tf.where(mask, tf.exp(teacher - total(teacher, mask)), 0.0)
        logits = logits / self.temperature
        losses = tf.where(mask, total(logits, mask) - logits, 0.0)
        return self.temperature**2 * weighted_mean(losses, with_rows(mask, 2, weights * shares))

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
