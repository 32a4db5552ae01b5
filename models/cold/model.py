"""COLD, a light single tower."""

import tensorflow as tf

from features import FeatureSpec
from layers import NumberEmbedding, SqueezeExcitation, Tower
from models.base import PreRankingModel
from models.cold.options import ENTRY, COLDOptions
from models.inputs import Inputs


@ENTRY
class COLD(PreRankingModel):
    """One tower over all fields of user and item, each gated by squeeze-and-excitation.

    Wang et al., DLP-KDD 2020. The authors drop the fields with small gates to meet a latency; here all are kept.
    """

    def __init__(self, spec: FeatureSpec, options: COLDOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        self.user_numbers = NumberEmbedding(options.embedding_dim, seed=self.next_seed(), name="user_numbers")
        self.item_numbers = NumberEmbedding(options.embedding_dim, seed=self.next_seed(), name="item_numbers")
        self.excite = SqueezeExcitation(seed=self.next_seed(), name="excite")
        self.dnn = Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name="dnn")
        initializer = tf.keras.initializers.GlorotUniform(seed=self.next_seed())
        self.output_layer = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer=initializer, name="output")

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        user = self.encoder(inputs, "user").stack(self.user_numbers)
        item = self.encoder(inputs, "item").stack(self.item_numbers)
        fields = self.excite(tf.concat([user, item], axis=1))
        flat = tf.reshape(fields, [-1, fields.shape[1] * fields.shape[2]])
        logits = self.output_layer(self.dnn(flat, training=training))
        return tf.cast(logits[:, 0], tf.float32) + self.bias
