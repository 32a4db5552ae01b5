"""The candidate generation network of YouTube, a retrieval model."""

import tensorflow as tf

from features import FeatureSpec
from layers import Tower
from layers.vectors import unit
from models import scorers
from models.base import State
from models.inputs import Inputs
from models.options import RetrievalOptions
from models.retrieval import RetrievalModel
from models.youtube_dnn.options import ENTRY


@ENTRY
class YoutubeDNN(RetrievalModel):
    """One vector a user, from all user features, and the item id's embedding.

    Covington et al., RecSys 2016, section 3; as in deepmatch's `YoutubeDNN` both vectors have length 1.
    """

    user_state = ("user_vector",)

    def __init__(self, spec: FeatureSpec, options: RetrievalOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        width = options.embedding_dim
        self.user_dnn = Tower(options.hidden_units, width, options.dropout, seed=self.next_seed(), name="user_dnn")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"user_vector": unit(self.user_dnn(self.encoder(inputs, "user").concat(), training=training))}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return tf.reduce_sum(user["user_vector"] * item["item_vector"], axis=-1) / self.options.temperature

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.dot(1 / self.options.temperature)
