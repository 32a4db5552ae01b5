"""CETNet, an ensemble of two ranking models."""

import tensorflow as tf

from features import FeatureSpec
from layers import ConfidenceFusion, NumberEmbedding, SqueezeExcitation, SymmetricDivergenceLoss, Tower
from models.base import PreRankingModel, Scored, cross_entropy
from models.cet_net.options import ENTRY, CETNetOptions
from models.inputs import FeatureEncoder, Inputs, paired
from models.mlcc.network import STDDEV, MLCCNetwork

_DEEP, _COMPRESSED = "deep_logits", "compressed_logits"


@ENTRY
class CETNet(PreRankingModel):
    """Two different networks, each with embeddings of its own, that are held together and fused.

    After CETNet (arXiv 2411.13700), of which we know a summary. The loss is the cross-entropy of both and, weighted,
    their symmetric divergence. The more certain network counts more, see :class:`layers.ConfidenceFusion`. The paper
    joins InterFormer and DHEN. Ours are fields gated by squeeze-and-excitation with a deep network, as in COLD, and
    MLCC's. Neither the temperature of the fusion nor the weight of the divergence is known: the defaults are ours.
    """

    options: CETNetOptions

    def __init__(self, spec: FeatureSpec, options: CETNetOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        self.numbers = self._numbers("deep")
        self.excite = SqueezeExcitation(seed=self.next_seed(), name="excite")
        self.dnn = Tower(options.hidden_units, 1, options.dropout, seed=self.next_seed(), name="dnn")
        self.second_encoder = self.make_encoder(name="second_encoder", stddev=STDDEV)
        self.second_numbers = self._numbers("compressed")
        self.network = MLCCNetwork.of_options(options, self.next_seed())
        self.fusion = ConfidenceFusion(options.fusion_temperature, name="fusion")
        self.divergence = SymmetricDivergenceLoss(name="divergence")

    def _numbers(self, network: str) -> list[NumberEmbedding]:
        return [
            NumberEmbedding(self.options.embedding_dim, seed=self.next_seed(), name=f"{network}_{side}_numbers")
            for side in ("user", "item")
        ]

    def _fields(self, encoder: FeatureEncoder, numbers: list[NumberEmbedding], inputs: Inputs) -> tf.Tensor:
        user, item = numbers
        return tf.concat([encoder(inputs, "user").stack(user), encoder(inputs, "item").stack(item)], axis=1)

    def _logits(self, inputs: Inputs, training: bool | None) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits (B,) of both networks."""
        gated = self.excite(self._fields(self.encoder, self.numbers, inputs))
        flat = tf.reshape(gated, [-1, gated.shape[1] * gated.shape[2]])
        deep = tf.cast(self.dnn(flat, training=training)[:, 0], tf.float32)
        own = {field.name: inputs[field.name] for field in self.spec.fields}  # without what was made of another table
        fields = self._fields(self.second_encoder, self.second_numbers, own)
        return deep + self.bias, self.network(fields, training=training) + self.bias

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        return self.fusion(tf.stack(self._logits(inputs, training), axis=1))

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """As for every model. The logits of each network are among what is known of the users, a row a pair."""
        if users is not None and items is not None:
            inputs = paired(inputs, self.spec, users, items)
        deep, compressed = self._logits(inputs, training)
        fused = self.fusion(tf.stack([deep, compressed], axis=1))
        return Scored(fused, {_DEEP: deep, _COMPRESSED: compressed}, {})

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The cross-entropy of each network, and their divergence."""
        deep, compressed = scored.user[_DEEP], scored.user[_COMPRESSED]
        counted = tf.ones_like(deep) if weights is None else weights
        return {
            "deep": cross_entropy(labels, deep, weights),
            "compressed": cross_entropy(labels, compressed, weights),
            "divergence": self.options.divergence_weight * self.divergence([deep, compressed, counted]),
        }
