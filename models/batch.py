"""A training batch: pairs of users and items, and what training knows of them.

Features have a dictionary of their own, so that no field's name can clash with that of anything else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
    """R rows of the data, the items drawn for them, and the P pairs that are to be scored.

    The first R pairs are the rows: pair r is user r with item r. So there are U = R users, and I = R + drawn items.
    Without drawn items and further pairs U = I = P = R.

    Attributes:
        features: by name, fields of the user's side (U, ...) and of the item's side (I, ...), scaled, as models take
            them.
        plan: planned look-ups of `features`, see :class:`layers.lookup_plan.LookupPlan`; empty if there are none.
        users: (P,) int32, the place among U of each pair's user.
        items: (P,) int32, the place among I of each pair's item.
        labels: (P,) float32, 0 or 1; NaN for a pair without a label, such as a drawn candidate.
        weights: (P,) float32, how much a pair counts; 0 for a candidate that was drawn by accident.
        teacher: (P,) float32, a teacher's logit; NaN where there is none.
        stages: (P,) int32, how far a row got in the cascade, larger for further; 0 where that is unknown.
        log_q: (I,) float32, log probability that a draw gives this item; of the rows' own items, that a random training
            row has it, or a random earlier one where candidates are drawn from these.
        lists: (G, N) int32, places among P of the pairs of each list; -1 for none.
        share: () float32, the part of the whole batch's rows that this is; less than 1 if several replicas train.
        labelled_share: () float32, the same of the weights of the rows that have a label.
        task_labels: (R, T) float32, the labels of the rows for each of several tasks, NaN where a row has none; None
            for one task.
    """

    features: Mapping[str, tf.Tensor]
    plan: Mapping[str, tf.Tensor]
    users: tf.Tensor
    items: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    teacher: tf.Tensor
    stages: tf.Tensor
    log_q: tf.Tensor
    lists: tf.Tensor
    share: tf.Tensor
    labelled_share: tf.Tensor
    task_labels: tf.Tensor | None = None

    @classmethod
    def of_rows(
        cls,
        features: Mapping[str, tf.Tensor],
        labels: tf.Tensor,
        plan: Mapping[str, tf.Tensor] | None = None,
        share: tf.Tensor | float = 1.0,
    ) -> "Batch":
        """A batch of rows and nothing else, each with weight 1.

        Args:
            features: by name, each with R rows.
            labels: (R,).
            plan: planned look-ups of `features`.
            share: the part of the whole batch's rows that this is; all have a label.
        """
        labels = tf.cast(labels, tf.float32)
        rows = tf.range(tf.shape(labels)[0])
        zeros = tf.zeros_like(labels)
        return cls(
            features=features,
            plan=plan or {},
            users=rows,
            items=rows,
            labels=labels,
            weights=tf.ones_like(labels),
            teacher=zeros + float("nan"),
            stages=tf.zeros_like(rows),
            log_q=zeros,
            lists=tf.zeros([0, 0], tf.int32),
            share=tf.cast(share, tf.float32),
            labelled_share=tf.cast(share, tf.float32),
        )


def as_batch(data: Any) -> Batch:
    """What Keras gives a step: a :class:`Batch`, or a pair of features and labels.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(data, Batch):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return Batch.of_rows(*data)
    raise TypeError(f"data must be a Batch, or a pair of features and labels. Received: {type(data).__name__}")
