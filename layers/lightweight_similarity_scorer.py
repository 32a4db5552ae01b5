"""FIT's scorer: a small network on all inner products of two sets of heads."""

import numpy as np
import tensorflow as tf

from layers.scaled_similarity import INITIAL_SCALE


@tf.keras.utils.register_keras_serializable(package="prerank")
class LightweightSimilarityScorer(tf.keras.layers.Layer):
    """A score from the inner products of every user head with every item head.

    FIT (Xiong et al., SIGIR 2025, arXiv 2509.12948), lightweight similarity scorer: `S = U Vᵀ` (H_u, H_v), a dense
    layer along its rows, ReLU, a dense layer along its columns, ReLU, and one output.

    Args:
        width: width of both dense layers; None leaves them out, the published ablation of one fully connected layer.
        scaled: multiply S by a learned scale, for heads of length 1, whose inner products are cosines.
        seed: seed of the initial weights.

    Example:
        >>> tuple(LightweightSimilarityScorer()([tf.ones([6, 2, 4]), tf.ones([6, 3, 4])]).shape)
        (6,)
    """

    def __init__(self, width: int | None = 8, scaled: bool = False, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.scaled = scaled
        self.seed = seed
        if width is not None:
            self._rows = self._dense(width, "relu", "rows", seed)
            self._columns = self._dense(width, "relu", "columns", seed + 1)
        self._output = self._dense(1, None, "output", seed + 2)

    @staticmethod
    def _dense(units, activation, name, seed):
        # The heads' inner products are float32, for half floats would tie many scores.
        initializer = tf.keras.initializers.GlorotUniform(seed=seed)
        return tf.keras.layers.Dense(units, activation, kernel_initializer=initializer, name=name, dtype="float32")

    def build(self, input_shape):
        user_heads, item_heads = (tuple(shape)[1] for shape in input_shape)
        if self.scaled:
            initializer = tf.keras.initializers.Constant(INITIAL_SCALE)
            self.scale = self.add_weight(name="scale", shape=(), initializer=initializer, autocast=False)
        size = user_heads * item_heads
        if self.width is not None:
            _build(self._rows, (None, user_heads, item_heads))
            _build(self._columns, (None, self.width, user_heads))
            size = self.width**2
        _build(self._output, (None, size))
        super().build(input_shape)

    def call(self, inputs):
        """Score `inputs`, a pair (user heads (B, H_u, d), item heads (N, H_v, d)), to (N,) float32; B is N or 1."""
        user_heads, item_heads = (tf.cast(heads, tf.float32) for heads in inputs)
        hidden = tf.matmul(user_heads, item_heads, transpose_b=True)
        if self.scaled:
            hidden *= self.scale
        if self.width is not None:
            hidden = self._columns(tf.transpose(self._rows(hidden), [0, 2, 1]))
        flat = tf.reshape(hidden, [-1, hidden.shape[1] * hidden.shape[2]])
        return tf.reshape(self._output(flat), [-1])

    def arrays(self) -> dict[str, np.ndarray]:
        """Kernel and bias of each dense layer, by name: rows, columns and output, or output only."""
        layers = [self._output] if self.width is None else [self._rows, self._columns, self._output]
        return {
            f"{layer.name}_{part}": np.asarray(tf.convert_to_tensor(getattr(layer, part)))
            for layer in layers
            for part in ("kernel", "bias")
        }

    def compute_output_shape(self, input_shape):
        return (input_shape[1][0],)

    def get_config(self):
        return {**super().get_config(), "width": self.width, "scaled": self.scaled, "seed": self.seed}


def _build(layer: tf.keras.layers.Layer, shape: tuple[int | None, ...]) -> None:
    with tf.name_scope(layer.name):
        layer.build(shape)
