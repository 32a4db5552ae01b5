"""MIND, the multi-interest network with dynamic routing, a retrieval model."""

import tensorflow as tf

from features import FeatureSpec
from layers import InterestCapsules, LabelAwareAttention, Tower
from layers.vectors import unit
from models import scorers
from models.base import State
from models.inputs import Inputs
from models.mind.options import ENTRY, MINDOptions
from models.retrieval import RetrievalModel


@ENTRY
class MIND(RetrievalModel):
    """Several vectors a user, one an interest; the score is the largest inner product with the item's.

    Li et al., CIKM 2019, arXiv 1904.08030: capsules route the history's items to interests, each of which joins the
    other user features in one tower; in training attention merges the vectors by their closeness to the row's item. As
    in :class:`YoutubeDNN` vectors have length 1. Without a history there is one vector, of the other features.
    """

    options: MINDOptions
    user_state = ("user_interests",)

    def __init__(self, spec: FeatureSpec, options: MINDOptions, **kwargs):
        super().__init__(spec, options, keep=() if spec.history is None else (spec.history,), **kwargs)
        seed, width = self.next_seed(), options.embedding_dim
        self.capsules = InterestCapsules(options.interests, options.routing_iterations, seed=seed, name="capsules")
        self.attention = LabelAwareAttention(options.attention_power, name="attention")
        self.user_dnn = Tower(options.hidden_units, width, options.dropout, seed=self.next_seed(), name="user_dnn")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        history = self.spec.history
        encoded = self.encoder(inputs, "user")
        names = [name for name in (*encoded.fields, *encoded.dense) if name != history]
        features = encoded.concat(names)[:, tf.newaxis]
        if history is not None:
            interests = self.capsules([encoded.sequences[history], encoded.masks[history]])
            others = tf.repeat(features, self.options.interests, axis=1)
            features = tf.concat([others, tf.cast(interests, others.dtype)], axis=-1)
        return {"user_interests": unit(self.user_dnn(features, training=training))}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        products = tf.linalg.matvec(user["user_interests"], item["item_vector"])
        return tf.reduce_max(products, axis=-1) / self.options.temperature

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.max_interest(1 / self.options.temperature)

    def vectors_for(self, user: State, item: State) -> tf.Tensor:
        return self.attention([user["user_interests"], item["item_vector"]])
