"""Dropout whose masks are a function of a seed and a step count, so that a resumed training repeats them."""

import tensorflow as tf

from layers.replicas import draw_number

_LEVELS = 256


@tf.keras.utils.register_keras_serializable(package="prerank")
class Dropout(tf.keras.layers.Layer):
    """Sets inputs to zero with probability `rate` and scales the others up, in training only.

    Keras's own layer keeps its random state outside the weights. Here the state is a step counter
    that is saved with them; each replica draws masks of its own. One random byte decides an element, a quarter
    of the random bits that a float would take, so the rate is rounded to a multiple of 1/256; the scale is that
    of the rounded rate.

    Args:
        rate: share of elements set to zero, in [0, 1).
        seed: masks of two layers differ if their seeds do.
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self._dropped_levels = min(round(rate * _LEVELS), _LEVELS - 1)

    def build(self, input_shape):
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, inputs, training=None):
        """Return a tensor of the shape and dtype of `inputs`; `training` is a Python bool or None."""
        if not training or not self._dropped_levels:
            return inputs
        draw = draw_number(tf.cast(tf.convert_to_tensor(self.step), tf.int64))
        size = tf.size(inputs)
        words = tf.random.stateless_uniform(
            [(size + 3) // 4],
            seed=tf.stack([tf.constant(self.seed, tf.int64), draw]),
            minval=None,
            maxval=None,
            dtype=tf.int32,
        )
        self.step.assign_add(tf.ones((), tf.int64))
        levels = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size]
        keep = tf.reshape(levels >= self._dropped_levels, tf.shape(inputs))
        scale = tf.cast(_LEVELS / (_LEVELS - self._dropped_levels), inputs.dtype)
        return tf.where(keep, inputs * scale, tf.zeros((), inputs.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
