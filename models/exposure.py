"""Which items a user is shown: towers of their own, and the items' popularity."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from features import FeatureSpec, Side
from layers import InBatchSoftmaxLoss, Tower
from models.columns import column
from models.inputs import FeatureEncoder, Inputs

_HIDDEN = 4
"""Width of a tower's hidden layer, in units of its output's width."""
_STDDEV = 0.05
"""Of the tables at the start. The score is a product of both sides: near 0, neither would have a gradient."""


class Exposure(tf.keras.layers.Layer):
    """Logits of an item being the one that an exposure of a user shows, `<u, v> + b_v + log p(v)`.

    The first two terms are `log( p(v|u) / p(v) )` and are trained by :class:`layers.InBatchSoftmaxLoss`. The last is
    the item's popularity, counted and not trained, see `training.exposure`. So their sum is `log p(v|u)`, and it stays
    so if the popularity is that of another time than the rows'.

    The table is its own. So the gradients of what is shown do not move the embeddings by which the preference is
    calibrated. It takes what does not change with the rows of a user or an item, and the context of a request. A batch
    pairs users with items of other rows, and a state as of another time would tell own items from others. A history
    tells which items the user was shown minutes before, and so what comes next; what is shown later it tells less well.

    An item that is unseen or has no id shares a row with all others of its kind. That row occurs in batches as often
    as an own item as it does as another's, so that its score is the mean item's. Its popularity is that of an item
    without a row, so that an unseen item ranks low.

    Args:
        spec: the data set's feature specification.
        width: size D of the vectors and of the embeddings.
        dropout: dropout rate after each hidden layer.
        scale: the first two terms are so much of the logarithm that they stand for.
        next_seed: gives a seed for each part.
        xla: use only operations that XLA compiles.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        width: int,
        dropout: float,
        scale: float,
        next_seed: Callable[[], int],
        xla: bool = False,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)  # its own weight is in full precision; the layers have their policy
        self.width = width
        self.scale = scale
        self._item_id = spec[spec.item_id]
        self._names = {"user": _lasting(spec, "user"), "item": _lasting(spec, "item")}
        user, item = ([column(spec[name], width) for name in self._names[side]] for side in ("user", "item"))
        self.encoder = FeatureEncoder(user, item, seed=next_seed(), xla=xla, stddev=_STDDEV, name="exposure_encoder")
        self.user_dnn = Tower([_HIDDEN * width], width, dropout, seed=next_seed(), name="exposure_user_dnn")
        self.item_dnn = Tower([_HIDDEN * width], width + 1, dropout, seed=next_seed(), name="exposure_item_dnn")
        self.loss_layer = InBatchSoftmaxLoss(name="in_batch_softmax")
        self.log_popularity = self.add_weight(
            name="log_popularity", shape=(self._item_id.vocabulary_size,), initializer="zeros", trainable=False
        )

    def set_popularity(self, log_popularity: np.ndarray) -> None:
        """Set the log probabilities (vocabulary,) that an exposure shows an item, by the item id's index."""
        self.log_popularity.assign(log_popularity)

    def user(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Vectors (B, D) float32 of users."""
        return self._encode(inputs, "user", self.user_dnn, training) / math.sqrt(self.width)

    def item(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Vectors and, as the last column, biases and popularity, (B, D + 1) float32, of items."""
        found = self._encode(inputs, "item", self.item_dnn, training)
        return tf.concat([found[:, :-1], found[:, -1:] + self._popularity(inputs)[:, tf.newaxis]], axis=1)

    def logits(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Logits (N,) of user vectors (N or 1, D) and items (N, D + 1)."""
        return tf.reduce_sum(user * item[:, :-1], axis=-1) + item[:, -1]

    def loss(self, inputs: Inputs, user: tf.Tensor, item: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The loss, a scalar, of rows that are exposures.

        Args:
            inputs: features of the rows.
            user: what :meth:`user` gives of them in training.
            item: what :meth:`item` gives of them in training.
            weights: (B,), of the rows.
        """
        biases = (item[:, -1] - self._popularity(inputs)) / self.scale
        return self.loss_layer([user / self.scale, item[:, :-1], biases, weights])

    def _popularity(self, inputs: Inputs) -> tf.Tensor:
        return tf.gather(self.log_popularity, inputs[self._item_id.name])

    def _encode(self, inputs: Inputs, side: Side, tower: Tower, training: bool | None) -> tf.Tensor:
        own = {name: inputs[name] for name in self._names[side]}  # without what was made for another table
        return tf.cast(tower(self.encoder(own, side).concat(), training=training), tf.float32)


def _lasting(spec: FeatureSpec, side: Side) -> tuple[str, ...]:
    """Names of a side's fields that belong to the user or item itself, and of the context that comes with the user."""
    context = [field for field in spec.side(side) if side == "user" and field.name in spec.context]
    return tuple(field.name for field in [*spec.table_fields(side), *context])
