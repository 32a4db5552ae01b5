"""MLCC's network, from the embedded fields of a row to a logit."""

import tensorflow as tf

from layers import BottleneckExcitation, FieldCompressor, ParallelDense, Tower
from models.mlcc.options import MLCCOptions

STDDEV = 0.05
"""Of the embeddings at the start. The compressor multiplies a row's fields with each other, up to three of them: from
the 1e-4 of other models nothing would come through it."""


class MLCCNetwork(tf.keras.layers.Layer):
    """Global compressor, a matrix a field, gates of the fields, and a deep network.

    Args:
        heads, units, channels: of :class:`layers.FieldCompressor`.
        local_width: what is left of each field.
        hidden_units: widths of the deep network.
        dropout: dropout rate after each of its layers.
        seed: seed of the initial weights; the sixteen from it on are taken.
    """

    def __init__(
        self,
        heads: int,
        units: tuple[int, ...],
        channels: int,
        local_width: int,
        hidden_units: tuple[int, ...],
        dropout: float,
        seed: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.compressor = FieldCompressor(heads, units, channels, seed=seed, name="compressor")
        self.local = ParallelDense(local_width, seed=seed + 1, name="local")
        self.excite = BottleneckExcitation(seed=seed + 2, name="excite")
        self.dnn = Tower(hidden_units, 1, dropout, seed=seed + 4, name="dnn")

    @classmethod
    def of_options(cls, options: MLCCOptions, seed: int) -> "MLCCNetwork":
        """The network that a model's options ask for, called `network`."""
        return cls(
            options.compressor_heads,
            options.compressor_units,
            options.channels,
            options.local_width,
            options.hidden_units,
            options.dropout,
            seed,
            name="network",
        )

    def call(self, fields: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Map fields (B, F, E) to logits (B,) float32."""
        gated = self.excite(self.local(self.compressor(fields)))
        flat = tf.reshape(gated, [-1, gated.shape[1] * gated.shape[2]])
        return tf.cast(self.dnn(flat, training=training)[:, 0], tf.float32)
