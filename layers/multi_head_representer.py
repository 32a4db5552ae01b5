"""HIT's multi-head representer: one vector becomes several."""

import tensorflow as tf

from layers.vectors import unit


@tf.keras.utils.register_keras_serializable(package="prerank")
class MultiHeadRepresenter(tf.keras.layers.Layer):
    """A linear map from a tower's output to H heads of size d.

    HIT (Yang et al., arXiv 2505.19849), section on the multi-head representer; IntTower (Li et al., CIKM 2022)
    projects the layers of its FE-Block in the same way.

    Args:
        heads: number of heads H.
        head_dim: size d of a head.
        normalize: scale each head to length 1; heads shorter than 1e-3 stay shorter.
        seed: seed of the initial weights.

    Example:
        >>> tuple(MultiHeadRepresenter(heads=2, head_dim=3)(tf.ones([5, 4])).shape)
        (5, 2, 3)
    """

    def __init__(self, heads: int, head_dim: int, normalize: bool = False, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.head_dim = head_dim
        self.normalize = normalize
        self.seed = seed
        initializer = tf.keras.initializers.GlorotUniform(seed=seed)
        self._project = tf.keras.layers.Dense(heads * head_dim, kernel_initializer=initializer, name="project")

    def build(self, input_shape):
        self._project.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        """Map (B, D) to heads (B, H, d), float32 if they are normalized."""
        heads = tf.reshape(self._project(inputs), [-1, self.heads, self.head_dim])
        return unit(heads) if self.normalize else heads

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.heads, self.head_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_dim": self.head_dim,
            "normalize": self.normalize,
            "seed": self.seed,
        }
