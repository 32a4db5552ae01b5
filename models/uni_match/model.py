"""UniMatch, which ranks items for a user, and users for an item."""

from typing import Literal

import numpy as np
import tensorflow as tf

from features import FeatureSpec
from layers import BidirectionalSoftmaxLoss, Tower
from layers.vectors import unit
from models import scorers
from models.base import ReadColumns, Scored, State, TwoTowerModel
from models.inputs import Inputs
from models.uni_match.options import ENTRY, UniMatchOptions


@ENTRY
class UniMatch(TwoTowerModel):
    """One vector a side, whose inner product tends to the log probability of the pair among all positives.

    After UniMatch (arXiv 2307.09989), of which we know the abstract; the loss is our reading of its bidirectional
    bias-corrected NCE, see :class:`layers.BidirectionalSoftmaxLoss`. It takes positives only. As the score is that of
    the pair, and not of an item given the user, it orders users for an item too: `PreRanker.top_users`.

    The shares of users and items are counted before training, with ids masked as in training. Both towers take all
    features of their side, where the paper has the item's id.
    """

    options: UniMatchOptions
    user_state = ("user_vector",)
    item_state = ("item_vector",)
    trains_bias = False

    def __init__(self, spec: FeatureSpec, options: UniMatchOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        *hidden, width = options.hidden_units
        self.encoder = self.make_encoder()
        self.user_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="user_dnn")
        self.item_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="item_dnn")
        self.loss_layer = BidirectionalSoftmaxLoss(
            options.temperature, options.item_weight, options.user_weight, name="bidirectional_softmax"
        )
        self._log_shares = {spec.user_id: self._shares("user"), spec.item_id: self._shares("item")}

    def _shares(self, side: Literal["user", "item"]) -> tf.Variable:
        field = self.spec.user_id if side == "user" else self.spec.item_id
        shape = (self.spec[field].vocabulary_size,)
        return self.add_weight(name=f"{side}_log_popularity", shape=shape, initializer="zeros", trainable=False)

    def prepare(self, read: ReadColumns) -> None:
        """Count how often users and items occur among the positives. An index without any counts as one positive."""
        weight = [self.spec.beside("weight")] if "weight" in self.spec.row_columns else []
        columns = read([*self._log_shares, self.spec.label, *weight])
        counted = (columns[self.spec.label] == 1) * np.asarray(columns[weight[0]] if weight else 1.0, np.float64)
        for name, log_shares in self._log_shares.items():
            counts = np.bincount(columns[name], counted, minlength=log_shares.shape[0])
            counts = np.where(counts > 0, counts, 1.0)
            log_shares.assign(np.log(counts / max(counted.sum(), 1.0)))

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"user_vector": unit(self.user_dnn(self.encoder(inputs, "user").concat(), training=training))}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_vector": unit(self.item_dnn(self.encoder(inputs, "item").concat(), training=training))}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return tf.reduce_sum(user["user_vector"] * item["item_vector"], axis=-1) / self.options.temperature

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The loss of the positives; each counts by its weight."""
        counted = tf.cast(labels, tf.float32)
        if weights is not None:
            counted *= weights
        shares = [tf.gather(log_shares, inputs[name]) for name, log_shares in self._log_shares.items()]
        parts = [scored.user["user_vector"], scored.item["item_vector"], *shares, counted]
        return {"bidirectional_softmax": self.loss_layer(parts)}

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.dot(1 / self.options.temperature)
