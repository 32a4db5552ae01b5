"""Lengths of vectors, with a floor that bounds the gradient at a zero vector."""

import tensorflow as tf

_FLOOR = 1e-3


def norm(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean norms (...,) float32 of vectors (..., D), at least 1e-3."""
    vectors = tf.cast(vectors, tf.float32)  # the squares of half floats underflow
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(vectors), axis=-1), _FLOOR**2))


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors (..., D) scaled to length 1, in float32; those shorter than 1e-3 to their thousandfold."""
    return tf.cast(vectors, tf.float32) / norm(vectors)[..., tf.newaxis]
