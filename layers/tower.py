"""The dense tower that every two-tower model is built from."""

from collections.abc import Sequence

import tensorflow as tf

from layers.dropout import Dropout
from layers.replicas import replica_count

# Keras's default of 0.99 leaves the moving averages behind after the short trainings of this field.
_BATCH_NORM_MOMENTUM = 0.9


@tf.keras.utils.register_keras_serializable(package="prerank")
class Tower(tf.keras.layers.Layer):
    """Dense layers without bias, each followed by batch norm, ReLU and dropout; then a linear layer if asked.

    Made within the scope of a strategy of several replicas, batch norm takes its moments over the rows of them all.

    Args:
        hidden_units: widths of the hidden layers.
        output_units: width of a last linear layer with bias, or None for no such layer.
        dropout: dropout rate after each hidden layer.
        seed: seed of the initial weights and of the dropout masks.

    Example:
        >>> tuple(Tower([8, 4], output_units=3)(tf.ones([5, 6])).shape)
        (5, 3)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        output_units: int | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_units = tuple(hidden_units)
        self.output_units = output_units
        self.dropout = dropout
        self.seed = seed
        depth = len(self.hidden_units)
        norm = {"momentum": _BATCH_NORM_MOMENTUM, "synchronized": replica_count() > 1}
        self._dense = [
            tf.keras.layers.Dense(units, use_bias=False, kernel_initializer=self._initializer(i), name=f"dense_{i}")
            for i, units in enumerate(self.hidden_units)
        ]
        self._norms = [tf.keras.layers.BatchNormalization(name=f"batch_norm_{i}", **norm) for i in range(depth)]
        self._dropouts = [Dropout(dropout, seed=seed + i, name=f"dropout_{i}") for i in range(depth)]
        self._output = None
        if output_units is not None:
            self._output = tf.keras.layers.Dense(
                output_units, kernel_initializer=self._initializer(depth), name="output"
            )

    def _initializer(self, index: int) -> tf.keras.initializers.Initializer:
        return tf.keras.initializers.GlorotUniform(seed=self.seed + index)

    def build(self, input_shape):
        shape = tuple(input_shape)
        for dense, norm, dropout in zip(self._dense, self._norms, self._dropouts, strict=True):
            _build(dense, shape)
            shape = (*shape[:-1], dense.units)
            _build(norm, shape)
            _build(dropout, shape)
        if self._output is not None:
            _build(self._output, shape)
        super().build(input_shape)

    def call(self, inputs, training=None, return_layers: bool = False):
        """Map `inputs` (B, D) to (B, `output_units`), or to (B, `hidden_units[-1]`) without a linear layer.

        With `return_layers`, a list of every layer's output, the first one first.
        """
        outputs = [inputs]
        for dense, norm, dropout in zip(self._dense, self._norms, self._dropouts, strict=True):
            outputs.append(dropout(tf.nn.relu(norm(dense(outputs[-1]), training=training)), training=training))
        if self._output is not None:
            outputs.append(self._output(outputs[-1]))
        return outputs[1:] if return_layers else outputs[-1]

    def compute_output_shape(self, input_shape):
        *batch, width = input_shape
        width = (width, *self.hidden_units)[-1] if self.output_units is None else self.output_units
        return (*batch, width)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "output_units": self.output_units,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _build(layer: tf.keras.layers.Layer, shape: tuple[int | None, ...]) -> None:
    with tf.name_scope(layer.name):  # legacy Keras would give all kernels of the tower one name
        layer.build(shape)
