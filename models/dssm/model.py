"""DSSM, the vanilla two-tower model."""

import tensorflow as tf

from features import FeatureSpec
from layers import ScaledSimilarity, Tower
from models import scorers
from models.base import State, TwoTowerModel
from models.dssm.options import ENTRY, DSSMOptions
from models.inputs import Inputs


@ENTRY
class DSSM(TwoTowerModel):
    """One vector a side, `p = σ(γ·cos(u, v) + b)`.

    Huang et al., CIKM 2013, as the row "Two-Tower" of the HIT, FIT and IntTower papers, with the scale γ learned. The
    last width of `hidden_units` is the linear layer that gives the vector.
    """

    user_state = ("user_vector",)
    item_state = ("item_vector",)

    def __init__(self, spec: FeatureSpec, options: DSSMOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        *hidden, width = options.hidden_units
        self.encoder = self.make_encoder()
        self.user_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="user_dnn")
        self.item_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="item_dnn")
        self.scorer = ScaledSimilarity(options.similarity, name="scorer")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"user_vector": self.user_dnn(self.encoder(inputs, "user").concat(), training=training)}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_vector": self.item_dnn(self.encoder(inputs, "item").concat(), training=training)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return self.scorer([user["user_vector"], item["item_vector"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.similarity(self.scorer)
