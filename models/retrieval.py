"""What the retrieval models have in common: sampled softmax on the positives."""

from collections.abc import Sequence

import tensorflow as tf

from features import RESERVED, FeatureSpec
from layers import SampledSoftmaxLoss
from layers.vectors import unit
from models.base import Scored, State, TwoTowerModel
from models.inputs import Inputs
from models.options import RetrievalOptions


class RetrievalModel(TwoTowerModel):
    """Inner product of user vectors and the item id's embedding, all of length 1, over a temperature.

    Negatives are items drawn uniformly from the vocabulary, the same for all rows of a batch; labels of 0 are not used.
    deepmatch's `SampledSoftmaxLayer` gives the same loss, but draws negatives that a resumed training would not repeat,
    or weighs a batch's items by counts that have to be known beforehand.

    All items that are unseen, or have no id, share one row of the table. A positive of that row says nothing about any
    of them, and does not count: as a positive that is never drawn, the row would come close to every user. A loss of
    its own moves the row to where its score for a user is the mean score of the drawn items. So an unseen item ranks
    near the middle of the catalogue.

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

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Sampled softmax on the positives; a positive counts by its weight."""
        user, item = scored.user, scored.item
        own, drawn = inputs[self.spec.item_id], self._sample()
        vectors = self._item_vectors(tf.concat([tf.range(RESERVED), drawn], axis=0))
        reserved, sampled = vectors[:RESERVED], vectors[RESERVED:]
        known = tf.cast(labels, tf.float32) * tf.cast(own >= RESERVED, tf.float32)
        if weights is not None:
            known *= weights
        of_user = self.vectors_for(user, item)
        return {
            "sampled_softmax": self.loss_layer([of_user, item["item_vector"], sampled, own, drawn, known]),
            "reserved_rows": self._off_the_mean(user, reserved, sampled),
        }

    def _off_the_mean(self, user: State, reserved: tf.Tensor, sampled: tf.Tensor) -> tf.Tensor:
        """How far the scores of vectors (R, E) are from the mean score of vectors (S, E); trains the former only.

        Each row's user compares each of the R vectors with one of the S. The sum over R of the mean squared difference,
        in units of the inner product, is smallest at the mean.
        """
        user = {name: tf.stop_gradient(user[name]) for name in self.user_state}
        rows = tf.range(tf.shape(user[self.user_state[0]])[0])
        others = tf.stop_gradient(tf.gather(sampled, tf.math.floormod(rows, self.options.sampled_items)))
        score = self.similarity(user, {"item_vector": others})
        losses = []
        for vector in tf.unstack(reserved):
            above = self.similarity(user, {"item_vector": tf.broadcast_to(vector, tf.shape(others))}) - score
            losses.append(tf.reduce_mean(tf.square(self.options.temperature * above)))
        return tf.add_n(losses)

    def _sample(self) -> tf.Tensor:
        """Ids (S,) of known items; a function of the seed and of a saved step count."""
        seed = tf.stack([tf.constant(self._sampler_seed, tf.int64), tf.convert_to_tensor(self._step)])
        size = [self.options.sampled_items]
        bits = tf.random.stateless_uniform(size, seed=seed, minval=None, maxval=None, dtype=tf.int32)
        self._step.assign_add(tf.ones((), tf.int64))
        known = max(self.spec[self.spec.item_id].vocabulary_size - RESERVED, 1)
        return RESERVED + tf.math.floormod(bits, known)
