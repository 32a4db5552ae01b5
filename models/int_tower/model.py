"""IntTower, the interaction-enhanced two-tower model."""

import tensorflow as tf

from features import FeatureSpec, Side
from layers import ContrastiveLoss, LightSE, MaxSim, MultiHeadRepresenter, NumberEmbedding, Tower
from models import scorers
from models.base import State, TwoTowerModel
from models.inputs import Inputs
from models.int_tower.options import ENTRY, IntTowerOptions


@ENTRY
class IntTower(TwoTowerModel):
    """Every layer of the user's tower meets the item's last one, `Σ_i Σ_h max_k <u_i,h, v_k>`.

    Li et al., CIKM 2022, arXiv 2210.09890: Light-SE on the fields of each side; the FE-Block, which projects each user
    layer i and the item's last layer to heads; and CIR, in-batch contrastive learning between the towers' last layers.
    The heads of all user layers lie side by side in one tensor (B, L·H_u, d).

    With `only_last_layer` inference leaves the other user layers out, while the loss still sums over all of them.
    """

    options: IntTowerOptions
    user_state = ("user_heads",)
    item_state = ("item_heads",)

    def __init__(self, spec: FeatureSpec, options: IntTowerOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        self.user_numbers, self.user_se, self.user_dnn = self._tower("user")
        self.item_numbers, self.item_se, self.item_dnn = self._tower("item")
        self.user_representers = [
            self._representer(options.user_heads, f"user_representer_{layer}")
            for layer in range(len(options.hidden_units))
        ]
        self.item_representer = self._representer(options.item_heads, "item_representer")
        self.scorer = MaxSim(scaled=options.similarity == "scaled_cosine", name="scorer")
        self.contrastive_loss = ContrastiveLoss(options.cir_temperature, xla=self.xla) if options.cir_weight else None

    def _tower(self, side: str) -> tuple[NumberEmbedding, LightSE, Tower]:
        options = self.options
        return (
            NumberEmbedding(options.embedding_dim, seed=self.next_seed(), name=f"{side}_numbers"),
            LightSE(seed=self.next_seed(), name=f"{side}_se"),
            Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name=f"{side}_dnn"),
        )

    def _representer(self, heads: int, name: str) -> MultiHeadRepresenter:
        normalize = self.options.similarity == "scaled_cosine"
        return MultiHeadRepresenter(heads, self.options.head_dim, normalize, seed=self.next_seed(), name=name)

    def _fields(self, inputs: Inputs, side: Side) -> tf.Tensor:
        numbers, excite = (self.user_numbers, self.user_se) if side == "user" else (self.item_numbers, self.item_se)
        fields = excite(self.encoder(inputs, side).stack(numbers))
        return tf.reshape(fields, [-1, fields.shape[1] * fields.shape[2]])

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        layers = self.user_dnn(self._fields(inputs, "user"), training=training, return_layers=True)
        heads = [represent(layer) for represent, layer in zip(self.user_representers, layers, strict=True)]
        if self.options.only_last_layer and not training:
            heads = heads[-1:]
        return {"user_heads": tf.concat(heads, axis=1), "vector": layers[-1], "id": inputs[self.spec.user_id]}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        vector = self.item_dnn(self._fields(inputs, "item"), training=training)
        return {"item_heads": self.item_representer(vector), "vector": vector, "id": inputs[self.spec.item_id]}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return self.scorer([user["user_heads"], item["item_heads"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.max_sim(self.scorer)

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """CIR, between the last layers of both towers, which must be of one width."""
        if self.contrastive_loss is None:
            return {}
        loss = self.contrastive_loss([user["vector"], item["vector"], labels, user["id"], item["id"]])
        return {"contrastive": self.options.cir_weight * loss}
