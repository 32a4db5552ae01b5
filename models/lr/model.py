"""Logistic regression on every field."""

import tensorflow as tf

from features import FeatureSpec, Side
from layers import NumberEmbedding
from models import scorers
from models.base import State, TwoTowerModel
from models.inputs import Inputs
from models.lr.options import ENTRY
from models.options import ModelOptions

_STDDEV = 1e-4


@ENTRY
class LogisticRegression(TwoTowerModel):
    """A weight for every id and every number; a sequence counts by its mean.

    The row "LR" of IntTower's table (Li et al., CIKM 2022). A sum of two halves, it is decoupled. The weights of ids
    are an embedding table of size 1, whatever `embedding_dim` says; there is no hidden layer for `dropout`.
    """

    user_state = ("user_logit",)
    item_state = ("item_logit",)

    def __init__(self, spec: FeatureSpec, options: ModelOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder(embedding_dim=1)
        self.user_numbers = NumberEmbedding(1, _STDDEV, seed=self.next_seed(), name="user_numbers")
        self.item_numbers = NumberEmbedding(1, _STDDEV, seed=self.next_seed(), name="item_numbers")

    def _half(self, inputs: Inputs, side: Side, numbers: NumberEmbedding) -> tf.Tensor:
        terms = self.encoder(inputs, side).stack(numbers)
        return tf.reduce_sum(tf.cast(terms, tf.float32), axis=[1, 2])

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"user_logit": self._half(inputs, "user", self.user_numbers)}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_logit": self._half(inputs, "item", self.item_numbers)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return user["user_logit"] + item["item_logit"]

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.additive()
