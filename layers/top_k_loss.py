"""A differentiable choice of the K best of a list."""

import tensorflow as tf

from layers.lists import ListLoss, best, weighted_mean, with_rows


@tf.keras.utils.register_keras_serializable(package="prerank")
class TopKLoss(ListLoss):
    """The rows that are wanted are to be among the K best of their list, and no others.

    DFTopK (Zhu et al., arXiv 2510.11472). With `θ` halfway between the K-th and the next logit of a list, the weighted
    mean over the rows of

        BCE(y_i, σ((s_i - θ) / τ))

    A list of at most K rows is left out, as all of them are chosen.

    Inputs: `logits` and either `labels`, 1 for the rows that are wanted, or `teacher`, of which the K best are wanted,
    all (G, N); and `mask`, `weights`, see :class:`ListLoss`. Of teacher scores that tie for place K none is wanted.

    Calibration: none. A constant that is added to all logits of a list changes nothing.

    Args:
        k: how many rows are chosen.
        temperature: τ; the lower, the closer is the sum of the probabilities to K.
    """

    def __init__(self, k: int, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.k = k
        self.temperature = temperature

    def loss(self, logits, mask, weights, labels=None, teacher=None):
        if (labels is None) == (teacher is None):
            raise ValueError("inputs must be either labels or teacher, and not both")
        wanted = tf.cast(teacher > self._threshold(teacher, mask), tf.float32) if labels is None else labels
        logits = (logits - self._threshold(logits, mask)) / self.temperature
        losses = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
        return weighted_mean(losses, with_rows(mask, self.k + 1, weights))

    def _threshold(self, values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Halfway between the K-th best and the next value of a list (G, 1)."""
        return tf.reduce_mean(best(values, mask, self.k + 1)[:, self.k - 1 :], axis=1, keepdims=True)

    def get_config(self):
        return {**super().get_config(), "k": self.k, "temperature": self.temperature}
