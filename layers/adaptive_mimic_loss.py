"""DAT's adaptive-mimic loss."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class AdaptiveMimicLoss(tf.keras.layers.Layer):
    """Pulls the augmented vectors of one side towards the other side's outputs, on positive rows only.

    DAT (Yu et al., DLP-KDD 2021), equations of the adaptive-mimic mechanism:
    `mean((y·a + (1 − y)·sg(t) − sg(t))²)` over the batch and the dimensions, where sg stops the gradient. A negative
    row adds 0.
    """

    def call(self, inputs):
        """Return a float32 scalar for a triple: augmented vectors (B, D), the other side's (B, D), labels (B,)."""
        augmented, target, labels = (tf.cast(part, tf.float32) for part in inputs)
        target = tf.stop_gradient(target)
        labels = tf.reshape(labels, [-1, 1])
        return tf.reduce_mean(tf.square(labels * augmented + (1.0 - labels) * target - target))

    def compute_output_shape(self, input_shape):
        return ()
