"""What the ranking models have in common that are deepctr's own implementations."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from features import FeatureSpec
from layers import Dropout
from models.base import PreRankingModel
from models.columns import Column, columns
from models.deepctr import DNN, CrossNet, InteractingLayer, Linear, VarLenSparseFeat
from models.inputs import Inputs
from models.options import RankingOptions

MakeModel = Callable[..., tf.keras.Model]

_LINEAR_PREFIX = "linear"


class DeepCTRModel(PreRankingModel):
    """A functional model of deepctr over all features of user and item, without its last sigmoid.

    Subclasses name deepctr's function and what it takes beside columns, widths, dropout and regularisers. What differs
    from calling that function oneself:

    - the logits are what goes into its `PredictionLayer`;
    - every weight starts from deepctr's own distribution, by a seed of its own: deepctr gives all tables one seed, all
      layers of a network another, and its last layer none;
    - dropout is `layers.Dropout`, so that a resumed training repeats its masks;
    - nothing is regularised inside, so that tables get sparse gradients; the optimizer penalises looked-up rows;
    - it computes in float32 under every precision policy, as its pooling layer mixes types;
    - sequences may be longer than in training.

    Args:
        spec, options: as for every model.
        make: deepctr's function.
        further: its further arguments.
    """

    def __init__(self, spec: FeatureSpec, options: RankingOptions, make: MakeModel, further: dict[str, Any], **kwargs):
        super().__init__(spec, options, **kwargs)
        dim = options.embedding_dim
        inputs = [_of_any_length(column) for column in columns(spec, "user", dim) + columns(spec, "item", dim)]
        policy = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy("float32")
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # CrossNet prints
                whole = make(
                    inputs,
                    inputs,
                    dnn_hidden_units=options.hidden_units,
                    dnn_dropout=options.dropout,
                    l2_reg_linear=0,
                    l2_reg_embedding=0,
                    **further,
                )
            self.network = tf.keras.Model(whole.inputs, whole.layers[-1].input, name="network")
            for layer in self.network.layers:
                self._reseed(layer)
        finally:
            tf.keras.mixed_precision.set_global_policy(policy)

    def _reseed(self, layer: tf.keras.layers.Layer) -> None:
        initializers = tf.keras.initializers
        for weight in layer.trainable_weights:
            seed = self.next_seed()
            if isinstance(layer, tf.keras.layers.Embedding):
                if not layer.name.startswith(_LINEAR_PREFIX):
                    weight.assign(initializers.RandomNormal(stddev=1e-4, seed=seed)(weight.shape))
            elif isinstance(layer, InteractingLayer):
                weight.assign(initializers.TruncatedNormal(stddev=1.0, seed=seed)(weight.shape))
            elif isinstance(layer, DNN | CrossNet | Linear) and "bias" not in weight.name:
                weight.assign(initializers.GlorotNormal(seed=seed)(weight.shape))
            elif isinstance(layer, tf.keras.layers.Dense):
                weight.assign(initializers.GlorotUniform(seed=seed)(weight.shape))
        if isinstance(layer, DNN):
            layer.dropout_layers = [Dropout(self.options.dropout, seed=self.next_seed()) for _ in layer.hidden_units]
            for dropout, units in zip(layer.dropout_layers, layer.hidden_units, strict=True):
                dropout.build((None, units))

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        columns = [inputs[name] for name in self.network.input_names]
        columns = [column[:, tf.newaxis] if column.shape.rank == 1 else column for column in columns]
        logits = self.network(columns, training=bool(training))
        return tf.reshape(tf.cast(logits, tf.float32), [-1]) + self.bias


def _of_any_length(column: Column) -> Column:
    return column._replace(maxlen=None) if isinstance(column, VarLenSparseFeat) else column
