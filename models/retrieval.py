"""What the retrieval models have in common: sampled softmax on the positives."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from features import RESERVED, FeatureSpec
from layers import LogQSoftmaxLoss, SampledSoftmaxLoss
from layers.vectors import unit
from models.base import ReadColumns, Scored, State, TwoTowerModel
from models.inputs import Inputs
from models.options import RetrievalOptions


class RetrievalModel(TwoTowerModel):
    """Inner product of user vectors and the item id's embedding, all of length 1, over a temperature.

    Negatives are items drawn uniformly from the vocabulary, the same for all rows of a batch; labels of 0 are not used.
    deepmatch's `SampledSoftmaxLayer` gives the same loss, but draws negatives that a resumed training would not repeat,
    or weighs a batch's items by counts that have to be known beforehand.

    Negatives may also be the items of the batch's other positives, or both ("mixed", Yang et al., WWW 2020). An item is
    then a negative as often as it is liked, for which :class:`layers.LogQSoftmaxLoss` corrects. Its probability is its
    share of the training part's positives, counted before training; that of both kinds is their mean, weighted by how
    many negatives of each kind a batch has.

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
        self.loss_layer: tf.keras.layers.Layer
        self._log_shares = None
        if options.negatives_from == "catalogue" and options.correction != "refined":  # a constant cancels
            self.loss_layer = SampledSoftmaxLoss(options.temperature, name="sampled_softmax")
        else:
            self.loss_layer = LogQSoftmaxLoss(options.temperature, options.correction == "refined", name="log_q")
        if options.negatives_from != "catalogue":
            shape = (spec[spec.item_id].vocabulary_size,)
            self._log_shares = self.add_weight(
                name="item_log_popularity", shape=shape, initializer="zeros", trainable=False
            )
        self._sampler_seed = self.next_seed()
        self._step = self.add_weight(name="step", shape=(), dtype=tf.int64, initializer="zeros", trainable=False)

    def prepare(self, read: ReadColumns) -> None:
        """Count, if needed, the shares of items among the positives of known ones; an item without any has one."""
        if self._log_shares is None:
            return
        item, label, weight = self.spec.item_id, self.spec.label, self.spec.beside("weight")
        columns = read([item, label, *([weight] if "weight" in self.spec.row_columns else [])])
        counted = (columns[label] == 1) * np.asarray(columns.get(weight, 1.0), np.float64)
        counts = np.bincount(columns[item], counted, minlength=self._log_shares.shape[0])
        total = max(counts[RESERVED:].sum(), 1.0)
        self._log_shares.assign(np.log(np.minimum(np.where(counts > 0, counts, 1.0) / total, 1.0)))

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
        parts = [self.vectors_for(user, item), item["item_vector"], sampled, own, drawn, known]
        loss = self.loss_layer(parts if isinstance(self.loss_layer, SampledSoftmaxLoss) else self._corrected(*parts))
        return {"sampled_softmax": loss, "reserved_rows": self._off_the_mean(user, reserved, sampled)}

    def _corrected(
        self,
        user: tf.Tensor,
        item: tf.Tensor,
        sampled: tf.Tensor,
        own: tf.Tensor,
        drawn: tf.Tensor,
        known: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """What :class:`layers.LogQSoftmaxLoss` takes: the negatives that the options ask for, with their chances."""
        negatives = []
        if self.options.negatives_from != "catalogue":
            negatives.append((item, own, known))
        if self.options.negatives_from != "batch":
            negatives.append((sampled, drawn, tf.ones(tf.shape(drawn))))
        vectors, ids, weights = (tf.concat(parts, axis=0) for parts in zip(*negatives, strict=True))
        count = tf.reduce_sum(tf.cast(known > 0, tf.float32))
        return {
            "user": user,
            "item": item,
            "item_ids": own,
            "item_log_q": self._log_q(own, count),
            "labels": known,
            "negative": vectors,
            "negative_ids": ids,
            "negative_log_q": self._log_q(ids, count),
            "negative_weights": weights,
        }

    def _log_q(self, ids: tf.Tensor, of_batch: tf.Tensor) -> tf.Tensor:
        """Log probabilities (N,) that a negative is the item of each id, of a batch with so many positives."""
        uniform = -math.log(max(self.spec[self.spec.item_id].vocabulary_size - RESERVED, 1))
        if self.options.correction == "none":
            return tf.zeros(tf.shape(ids))
        if self._log_shares is None:
            return tf.fill(tf.shape(ids), uniform)
        shares = tf.gather(tf.convert_to_tensor(self._log_shares), ids)
        if self.options.negatives_from == "batch":
            return shares
        drawn = float(self.options.sampled_items)
        mixed = (of_batch * tf.exp(shares) + drawn * math.exp(uniform)) / (of_batch + drawn)
        return tf.math.log(mixed)

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
