"""MLCC, a ranking model."""

import tensorflow as tf

from features import FeatureSpec
from layers import NumberEmbedding
from models.base import PreRankingModel
from models.inputs import Inputs
from models.mlcc.network import STDDEV, MLCCNetwork
from models.mlcc.options import ENTRY, MLCCOptions


@ENTRY
class MLCC(PreRankingModel):
    """A network for the fields of each row, whose weights are made of the row, and a deep network on what it gives.

    After the authors' code of MLCC and, with `--channels`, MC-MLCC: see :class:`layers.FieldCompressor`. A matrix for
    each field then shortens it, and :class:`layers.BottleneckExcitation` gates the fields. Different from that code,
    the deep network has batch norm, as every tower here, and the matrices of the fields have a bias.
    """

    def __init__(self, spec: FeatureSpec, options: MLCCOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        dim = options.embedding_dim
        self.encoder = self.make_encoder(stddev=STDDEV)
        self.user_numbers = NumberEmbedding(dim, seed=self.next_seed(), name="user_numbers")
        self.item_numbers = NumberEmbedding(dim, seed=self.next_seed(), name="item_numbers")
        self.network = MLCCNetwork.of_options(options, self.next_seed())

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        user = self.encoder(inputs, "user").stack(self.user_numbers)
        item = self.encoder(inputs, "item").stack(self.item_numbers)
        return self.network(tf.concat([user, item], axis=1), training=training) + self.bias
