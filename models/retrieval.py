"""What the retrieval models have in common: sampled softmax on the positives."""

from collections.abc import Sequence

import tensorflow as tf

from features import RESERVED, FeatureSpec
from layers import SampledSoftmaxLoss
from layers.vectors import unit
from models.base import State, TwoTowerModel
from models.inputs import Inputs
from models.options import RetrievalOptions


class RetrievalModel(TwoTowerModel):
    """Inner product of user vectors and the item id's embedding, all of length 1, over a temperature.

    Negatives are items drawn uniformly from the vocabulary, the same for all rows of a batch; labels of 0 are not used.
    deepmatch's `SampledSoftmaxLayer` gives the same loss, but draws negatives that a resumed training would not repeat,
    or weighs a batch's items by counts that have to be known beforehand.

    Subclasses define `encode_user` and `similarity`; `vectors_for` where a user has several vectors.

    Args:
        spec, options: as for every model.
        keep: names of the sequences that `encode_user` wants element by element.
    """

    options: RetrievalOptions
    item_state: tuple[str, ...] = ("item_vector",)
    trains_bias = False

    def __init__(self, spec: FeatureSpec, options: RetrievalOptions, keep: Sequence[str] = (), **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder(keep)
        self.loss_layer = SampledSoftmaxLoss(options.temperature, name="sampled_softmax")
        self._sampler_seed = self.next_seed()
        self._step = self.add_weight(name="step", shape=(), dtype=tf.int64, initializer="zeros", trainable=False)

    def _item_vectors(self, ids: tf.Tensor) -> tf.Tensor:
        return unit(self.encoder.embedding({self.spec.item_id: ids})[self.spec.item_id])

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_vector": unit(self.encoder(inputs, "item").fields[self.spec.item_id])}

    def vectors_for(self, user: State, item: State) -> tf.Tensor:
        """User vectors (B, E) for the loss, given the rows' own items."""
        return user["user_vector"]

    def loss_terms(self, inputs: Inputs, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        user, item = self.encode_user(inputs, training=True), self.encode_item(inputs, training=True)
        ids = self._sample()
        vectors = [self.vectors_for(user, item), item["item_vector"], self._item_vectors(ids)]
        return {"sampled_softmax": self.loss_layer([*vectors, inputs[self.spec.item_id], ids, labels])}

    def _sample(self) -> tf.Tensor:
        """Ids (S,) of known items; a function of the seed and of a saved step count."""
        seed = tf.stack([tf.constant(self._sampler_seed, tf.int64), tf.convert_to_tensor(self._step)])
        size = [self.options.sampled_items]
        bits = tf.random.stateless_uniform(size, seed=seed, minval=None, maxval=None, dtype=tf.int32)
        self._step.assign_add(tf.ones((), tf.int64))
        known = max(self.spec[self.spec.item_id].vocabulary_size - RESERVED, 1)
        return RESERVED + tf.math.floormod(bits, known)
