"""MoL, the mixture of logits."""

import tensorflow as tf

from features import FeatureSpec
from layers import Dropout, MultiHeadRepresenter, Tower
from layers.vectors import unit
from models import scorers
from models.base import State, TwoTowerModel
from models.columns import column
from models.inputs import FeatureEncoder, Inputs
from models.mixture import HeadMixture
from models.mol.options import ENTRY, MoLOptions

_USER_ID = "user_id_vector"
_STDDEV = 0.02


@ENTRY
class MoL(TwoTowerModel):
    """Several heads a side; a gate weighs the inner products of all pairs of them.

    Zhai et al., KDD 2023, arXiv 2306.04039, and the authors' code of Ding & Zhai, WWW 2025, arXiv 2407.15462, see
    :class:`layers.MixtureOfLogits`. Heads are one linear layer of the tower's output, of length 1. The gates see that
    output too. One of the user's heads may be an embedding of the user id, with dropout and a penalty on its length.

    Training differs from the published one: cross-entropy of the rows and a learned scale, in place of sampled softmax
    with a temperature of 0.05, as the logit is to be that of a probability.
    """

    options: MoLOptions
    user_state = HeadMixture.user_state
    item_state = HeadMixture.item_state

    def __init__(self, spec: FeatureSpec, options: MoLOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        made = options.user_heads - options.user_id_head
        self.user_dnn, self.user_representer = self._tower(made, "user")
        self.item_dnn, self.item_representer = self._tower(options.item_heads, "item")
        if options.user_id_head:
            columns = [column(spec[spec.user_id], options.head_dim)]
            self.user_id_encoder = FeatureEncoder(
                columns, [], seed=self.next_seed(), xla=self.xla, stddev=_STDDEV, name="user_id_encoder"
            )
            self.user_id_dropout = Dropout(options.user_id_dropout, seed=self.next_seed(), name="user_id_dropout")
        self._mixture = HeadMixture(options, options.user_heads * options.item_heads, self.next_seed)
        self.mixture_layers = self._mixture.layers

    def _tower(self, heads: int, side: str) -> tuple[Tower, MultiHeadRepresenter]:
        options = self.options
        tower = Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name=f"{side}_dnn")
        seed = self.next_seed()
        return tower, MultiHeadRepresenter(heads, options.head_dim, True, seed, name=f"{side}_representer")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        hidden = self.user_dnn(self.encoder(inputs, "user").concat(), training=training)
        heads = self.user_representer(hidden)
        beside = {}
        if self.options.user_id_head:
            name = self.spec.user_id
            own = {name: inputs[name]}  # without what was looked up in the other table
            beside = {_USER_ID: self.user_id_encoder(own, "user").fields[name]}
            head = unit(self.user_id_dropout(beside[_USER_ID], training=training))
            heads = tf.concat([heads, head[:, tf.newaxis]], axis=1)
        return {"user_heads": heads, "user_gate": self._mixture.user_gate(hidden), **beside}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        hidden = self.item_dnn(self.encoder(inputs, "item").concat(), training=training)
        return {"item_heads": self.item_representer(hidden), "item_gate": self._mixture.item_gate(hidden)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return self._mixture.similarity(user, item)

    def trained_scores(self, user: State, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        score, weights = self._mixture.trained(user, item, training)
        return score + self.bias, weights

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """The load balance of the pairs of heads, and the penalty on the embedding of the user id."""
        losses = self._mixture.losses(item)
        if _USER_ID in user and self.options.user_id_penalty:
            lengths = tf.reduce_sum(tf.square(tf.cast(user[_USER_ID], tf.float32)), axis=-1)
            losses["user_id"] = self.options.user_id_penalty * tf.reduce_mean(lengths)
        return losses

    def scorer_spec(self) -> scorers.ScorerSpec:
        return self._mixture.scorer_spec()
