"""MLCC's global compressor: a small network for the fields of each row, whose weights come of the row itself."""

import itertools
from collections.abc import Sequence

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class FieldCompressor(tf.keras.layers.Layer):
    """Each field through a linear network whose matrices are computed from all fields of the row.

    The global compressor of MLCC, after the authors' code. A matrix C maps the row's fields, side by side, to a vector
    for each of H heads. The vector is cut into matrices W_1 (E, o_1), W_2 (o_1, o_2) and so on. With fields X (F, E)

        h_1 = X W_1,   h_2 = h_1 W_2,   ...

    without bias or activation, as in that code. The output has, for each field, the field itself and all h of all
    heads. With several channels, as in MC-MLCC, each embedding is cut into channels of equal size, each of which has a
    matrix C of its own; E is then the size of a channel.

    Args:
        heads: number of heads H.
        units: widths o of the network's layers.
        channels: number of channels.
        seed: seed of the initial weights.

    Raises:
        ValueError: when it is built, the embeddings cannot be cut into so many channels.

    Example:
        >>> tuple(FieldCompressor(heads=4, units=(2, 1))(tf.ones([6, 3, 8])).shape)  # 8 + 4 · (2 + 1)
        (6, 3, 20)
    """

    def __init__(self, heads: int = 4, units: Sequence[int] = (2, 1), channels: int = 1, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.units = tuple(units)
        self.channels = channels
        self.seed = seed

    def build(self, input_shape):
        _, fields, width = tuple(input_shape)
        if width % self.channels:
            raise ValueError(f"channels must divide the size of an embedding, {width}. Received: {self.channels}")
        size = width // self.channels
        self._shapes = list(itertools.pairwise((size, *self.units)))
        count = self.heads * sum(rows * columns for rows, columns in self._shapes)
        limit = (6 / (fields * size + count)) ** 0.5  # Glorot's, of the matrix of a channel
        self.kernels = self.add_weight(
            name="kernels",
            shape=(self.channels, fields * size, count),
            initializer=tf.keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )
        super().build(input_shape)

    def call(self, inputs):
        """Map fields (B, F, E) to (B, F, E + H · Σ o), where Σ o is multiplied by the number of channels."""
        _, fields, width = inputs.shape
        size = width // self.channels
        cut = tf.transpose(tf.reshape(inputs, [-1, fields, self.channels, size]), [0, 2, 1, 3])  # (B, C, F, E)
        flat = tf.reshape(cut, [-1, self.channels, fields * size])
        made = tf.einsum("bcf,cfm->bcm", flat, tf.convert_to_tensor(self.kernels))
        made = tf.reshape(made, [-1, self.channels, self.heads, made.shape[-1] // self.heads])
        hidden = tf.repeat(cut[:, :, tf.newaxis], self.heads, axis=2)  # (B, C, H, F, E)
        outputs, start = [inputs], 0
        for rows, columns in self._shapes:
            weights = made[..., start : start + rows * columns]
            start += rows * columns
            hidden = tf.matmul(hidden, tf.reshape(weights, [-1, self.channels, self.heads, rows, columns]))
            of_field = tf.transpose(hidden, [0, 3, 1, 2, 4])  # (B, F, C, H, o)
            outputs.append(tf.reshape(of_field, [-1, fields, self.channels * self.heads * columns]))
        return tf.concat(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        batch, fields, width = tuple(input_shape)
        return (batch, fields, width + self.channels * self.heads * sum(self.units))

    def get_config(self):
        own = {"heads": self.heads, "units": list(self.units), "channels": self.channels, "seed": self.seed}
        return {**super().get_config(), **own}
