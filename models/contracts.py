"""What models, training and objectives give each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from layers.lists import weighted_mean
from models.batch import Batch
from models.inputs import Inputs

if TYPE_CHECKING:
    from models.base import PreRankingModel

State = dict[str, tf.Tensor]


class ReadColumns(Protocol):
    """Reads named fields, the label, or the timestamp, of the training part; numbers scaled; a random sample if asked.

    The name of the timestamp is `spec.beside("timestamp")`, in seconds since 1970.
    """

    def __call__(self, names: Sequence[str], most_rows: int | None = None) -> dict[str, np.ndarray]:
        """The columns by name, of all rows or of about `most_rows` of them."""


class Scored(NamedTuple):
    """What a training pass computes of a batch.

    Attributes:
        logits: (P,) float32, of the pairs.
        user: what the user's tower gives, by name, (U, ...); empty where it is not apart from the item's.
        item: what the item's tower gives, by name, (I, ...).
    """

    logits: tf.Tensor
    user: State
    item: State


class Objective(Protocol):
    """What a training minimises, where that is more than a model's own loss of its rows."""

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """What is trained with the model, and is no part of it."""

    def __call__(self, model: PreRankingModel, inputs: Inputs, batch: Batch) -> dict[str, tf.Tensor]:
        """The terms of the loss, scalars by name; `inputs` are the features of `batch`, embedded where planned."""


class RunningMeans:
    """Means of named values since the last reset. In an object of its own, or Keras counts them among the weights."""

    def __init__(self) -> None:
        self.metrics: dict[str, tf.keras.metrics.Mean] = {}

    def update(self, values: dict[str, tf.Tensor], weight: tf.Tensor | None) -> dict[str, tf.Tensor]:
        for name, value in values.items():
            if name not in self.metrics:
                self.metrics[name] = self._mean(name)
            self.metrics[name].update_state(value, weight)
        return {name: self.metrics[name].result() for name in values}

    @staticmethod
    def _mean(name: str) -> tf.keras.metrics.Mean:
        if tf.distribute.has_strategy():  # each replica has its own, which the strategy makes
            return tf.keras.metrics.Mean(name)
        with tf.init_scope(), tf.variable_creator_scope(_outside_of_functions):
            return tf.keras.metrics.Mean(name)


def _outside_of_functions(make: Callable[..., tf.Variable], **options: Any) -> tf.Variable:
    """Makes a variable that is no part of a `tf.function` being traced, which would be traced once more for it."""
    return make(**{**options, "experimental_enable_variable_lifting": False})


def of_logit(logit: tf.Tensor) -> dict[str, tf.Tensor]:
    """The outputs of a model that has one logit (B,)."""
    return {"logit": logit, "probability": tf.sigmoid(logit)}


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Mean binary cross-entropy in nats of `labels` (B,) and `logits` (B,); 0 if `weights` (B,) are given and all 0."""
    labels = tf.cast(labels, logits.dtype)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.reduce_mean(losses) if weights is None else weighted_mean(losses, weights)
