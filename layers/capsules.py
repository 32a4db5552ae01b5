"""MIND's extraction of a user's interests from their behaviours."""

import tensorflow as tf

from layers.vectors import norm, unit


@tf.keras.utils.register_keras_serializable(package="prerank")
class InterestCapsules(tf.keras.layers.Layer):
    """Dynamic routing of behaviours to K interest capsules, the same at every call.

    MIND (Li et al., CIKM 2019, arXiv 1904.08030), section 4.3 (B2I dynamic routing), with one matrix S for all pairs.
    With routing logits b (B, L, K), softmax over the capsules and `e = behaviours · S`:

        z_k = Σ_j softmax(b_j)_k e_j,   u_k = squash(z_k) = |z_k|² / (1 + |z_k|²) · z_k / |z_k|,   b_jk += <u_k, e_j>

    The paper draws the initial b from a Gaussian at each call, so that a user's state would never be the same twice.
    Here the initial `b_jk` is the inner product of e_j's direction with the k-th of K fixed Gaussian vectors: a
    Gaussian too, but given by the behaviour, wherever it stands in the history. Only the last sum has a gradient, as
    in deepmatch.

    Args:
        capsules: number of interests K.
        iterations: rounds of routing.
        seed: seed of S and of the fixed vectors.
    """

    def __init__(self, capsules: int, iterations: int = 3, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.capsules = capsules
        self.iterations = iterations
        self.seed = seed

    def build(self, input_shape):
        width = tuple(input_shape[0])[-1]
        initializers = tf.keras.initializers
        self.bilinear = self.add_weight(
            name="bilinear", shape=(width, width), initializer=initializers.GlorotUniform(seed=self.seed)
        )
        self.directions = self.add_weight(
            name="directions",
            shape=(width, self.capsules),
            initializer=initializers.RandomNormal(stddev=1.0, seed=self.seed + 1),
            trainable=False,
        )
        super().build(input_shape)

    def call(self, inputs):
        """Map `inputs`, a pair (behaviours (B, L, E), filled (B, L) bool), to interests (B, K, E) float32.

        A user without behaviours has interests of zero.
        """
        behaviours, filled = inputs
        mapped = tf.matmul(tf.cast(behaviours, tf.float32), tf.cast(self.bilinear, tf.float32))
        weights = tf.cast(filled, tf.float32)[..., tf.newaxis]
        fixed = tf.stop_gradient(mapped)
        logits = tf.matmul(unit(fixed), tf.cast(self.directions, tf.float32))
        for _ in range(self.iterations - 1):
            interests = squash(tf.matmul(tf.nn.softmax(logits) * weights, fixed, transpose_a=True))
            logits += tf.matmul(fixed, interests, transpose_b=True)
        return squash(tf.matmul(tf.nn.softmax(logits) * weights, mapped, transpose_a=True))

    def compute_output_shape(self, input_shape):
        batch, _, width = tuple(input_shape[0])
        return (batch, self.capsules, width)

    def get_config(self):
        return {
            **super().get_config(),
            "capsules": self.capsules,
            "iterations": self.iterations,
            "seed": self.seed,
        }


def squash(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors (..., D) of the same direction and of length below 1: `|z|² / (1 + |z|²) · z / |z|`."""
    length = norm(vectors)[..., tf.newaxis]
    return vectors * length / (1 + tf.square(length))
