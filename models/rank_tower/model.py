"""RankTower, in a decoupled variant of this project."""

import tensorflow as tf

from features import RESERVED, FeatureSpec
from layers import GatedHeads, ListwiseLoss, MaxSim, PrototypeAttention, Tower
from models import scorers
from models.base import Scored, State, TwoTowerModel
from models.inputs import Inputs
from models.rank_tower.options import ENTRY, RankTowerOptions


@ENTRY
class RankTower(TwoTowerModel):
    """Gated heads that attend over prototypes of the other side. A decoupled variant, not the published model.

    After Yan & Li, arXiv 2407.12385, of which the full text was not at hand; no result of this model stands for
    theirs. A tower's output becomes gated heads. Where RankTower lets the heads of both sides attend to each other,
    which cannot be cached, here each side attends over learned prototypes of the other side's heads. The score is the
    sum over the user's heads of the largest cosine with one of the item's, times a learned scale.

    The loss is cross-entropy; a listwise term over the rows of a user within a batch is an option. Distillation from
    a ranking model is left out.
    """

    options: RankTowerOptions
    user_state = ("user_heads",)
    item_state = ("item_heads",)

    def __init__(self, spec: FeatureSpec, options: RankTowerOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        self.user_dnn, self.user_gated, self.user_attention = self._side(options.user_heads, "user")
        self.item_dnn, self.item_gated, self.item_attention = self._side(options.item_heads, "item")
        self.scorer = MaxSim(scaled=True, name="scorer")
        self.listwise_loss = ListwiseLoss(name="listwise_loss")

    def _side(self, heads: int, side: str) -> tuple[Tower, GatedHeads, PrototypeAttention]:
        options = self.options
        return (
            Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name=f"{side}_dnn"),
            GatedHeads(heads, options.head_dim, seed=self.next_seed(), name=f"{side}_gated"),
            PrototypeAttention(options.prototypes, seed=self.next_seed(), name=f"{side}_attention"),
        )

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        hidden = self.user_dnn(self.encoder(inputs, "user").concat(), training=training)
        return {"user_heads": self.user_attention(self.user_gated(hidden))}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        hidden = self.item_dnn(self.encoder(inputs, "item").concat(), training=training)
        return {"item_heads": self.item_attention(self.item_gated(hidden))}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return self.scorer([user["user_heads"], item["item_heads"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.max_sim(self.scorer)

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        terms = super().row_losses(inputs, labels, scored, weights)
        if self.options.listwise_weight:
            users = inputs[self.spec.user_id]
            # missing and unseen users are many, each a list of one
            lists = tf.where(users < RESERVED, -1 - tf.range(tf.size(users)), users)
            terms["listwise"] = self.options.listwise_weight * self.listwise_loss([scored.logits, labels, lists])
        return terms
