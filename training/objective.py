"""What a training minimises: a model's own loss of rated rows, and losses over lists and of a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from layers import (
    FullStageLoss,
    JointRankingCalibrationLoss,
    ListSoftmaxLoss,
    ListwiseDistillationLoss,
    PairwiseDistillationLoss,
    PairwiseLoss,
    PointwiseDistillationLoss,
    RegressionCompatibleLoss,
    StageSoftmaxLoss,
    TopKLoss,
)
from layers.lists import ListLoss
from models import PreRankingModel
from models.base import Scored, cross_entropy
from models.batch import Batch
from models.inputs import Inputs, paired
from training.objective_options import ObjectiveOptions

_DRAWN_BY_POPULARITY = ("batch", "popularity")
_BIAS_UNIT = 10.0
"""Adam moves a number by about the learning rate a step. The log odds of an item in a list are far from 0 by several
units, more than its few steps an epoch would take. Until the bias is there, the model's logit learns what it is for."""


class ItemBias:
    """What the losses over lists see of a logit s of item v, `exp(a) · s + b_v`, with a and b learned.

    A logging policy passes on items that are popular, beside those that the user likes. What is in a list, and how far
    it got, tells of both. The bias takes what is the same for all users, and the factor the policy's own scale. So the
    model's logit is left to tell what the user likes, and what all users like is learned from labels only.

    Args:
        items: how many indices an item id has.
    """

    def __init__(self, items: int):
        self._log_factor = tf.Variable(0.0, name="list_log_factor")
        self._bias = tf.Variable(tf.zeros([items]), name="list_item_bias")  # in units of :data:`_BIAS_UNIT`
        self.variables = (self._log_factor, self._bias)

    def __call__(self, logits: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Logits (P,) float32 as the losses see them, of pairs with the items of these indices (P,)."""
        return tf.exp(self._log_factor) * logits + _BIAS_UNIT * tf.gather(self._bias, items)


class TrainingObjective:
    """`own loss of labelled rows + loss_weight · list loss + teacher_weight · teacher's loss`.

    A list loss takes pairs without a label, drawn candidates among them, as of label 0. The losses of RCR and JRC are
    without their part of cross-entropy, which is in the own loss.

    Args:
        options: what is asked for.
        unlabelled: whether some rows have no label, of no task; they are left out of the own loss.
        stages: the stages of the data's rows, ascending.
        items: how many indices an item id has; for a bias of each.

    Attributes:
        item_bias: of `list_item_bias`, else None.
        variables: what is trained with the model, and is no part of it.
    """

    def __init__(self, options: ObjectiveOptions, unlabelled: bool = False, stages: Sequence[int] = (), items: int = 0):
        self.options = options
        self.item_bias = ItemBias(items) if options.list_item_bias else None
        self.variables: tuple[tf.Variable, ...] = () if self.item_bias is None else self.item_bias.variables
        self._unlabelled = unlabelled
        self._list_loss = list_loss(options, stages)
        self._teacher_loss = teacher_loss(options) if options.teacher else None

    def __call__(self, model: PreRankingModel, inputs: Inputs, batch: Batch) -> dict[str, tf.Tensor]:
        """The terms of the loss of a batch, scalars by name.

        A step weights them by the share of rows that a replica has. The own loss is a mean over the rows with a label,
        so it is to be weighted by the share of these.
        """
        drawn = bool(self.options.candidates_per_row)
        scored = model.scored(inputs, batch.users, batch.items) if drawn else model.scored(inputs)
        of_labels = tf.math.divide_no_nan(batch.labelled_share, batch.share)
        terms = {name: of_labels * term for name, term in self._own(model, inputs, batch, scored).items()}
        if self._list_loss is not None:
            logits = scored.logits
            if self.item_bias is not None:
                logits = self.item_bias(logits, tf.gather(batch.features[model.spec.item_id], batch.items))
            terms[self.options.loss] = self.options.loss_weight * self._of_lists(batch, logits)
        elif self.options.candidates_are_negatives:
            rows = row_count(model, batch)
            logits = scored.logits[rows:]
            negatives = cross_entropy(tf.zeros_like(logits), logits, batch.weights[rows:])
            terms["candidates"] = self.options.loss_weight * negatives
        if self._teacher_loss is not None:
            terms["teacher"] = self.options.teacher_weight * self._taught(model, batch, scored.logits)
        return terms

    def _own(self, model: PreRankingModel, inputs: Inputs, batch: Batch, scored: Scored) -> dict[str, tf.Tensor]:
        """The model's own loss of the rows of the batch that have a label."""
        labels = batch.task_labels if self.options.several else batch.labels
        assert labels is not None  # several tasks come with an assembly
        if self.options.candidates_per_row or self._unlabelled:
            rows = tf.range(row_count(model, batch))
            if self._unlabelled:
                labelled = tf.logical_not(tf.math.is_nan(tf.gather(labels, rows)))
                rows = tf.boolean_mask(rows, tf.reduce_any(labelled, axis=1) if self.options.several else labelled)
            inputs = paired(inputs, model.spec, rows, rows)
            user, item = ({name: tf.gather(value, rows) for name, value in side.items()} for side in scored[1:])
            scored = Scored(tf.gather(scored.logits, rows), user, item)
            return model.row_losses(inputs, tf.gather(labels, rows), scored, tf.gather(batch.weights, rows))
        return model.row_losses(inputs, labels, scored, batch.weights)

    def _of_lists(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        assert self._list_loss is not None
        places = tf.maximum(batch.lists, 0)
        parts = {"logits": tf.gather(logits, places)}
        if self.options.loss in ("full_stage", "stage_softmax"):
            parts["stages"] = tf.gather(batch.stages, places)
        else:
            labels = tf.where(tf.math.is_nan(batch.labels), 0.0, batch.labels)
            parts["labels"] = tf.gather(labels, places)
        if self.options.loss == "joint_ranking_calibration":
            parts["logits"] = log_probabilities(parts["logits"])
        if self.options.loss == "softmax" and self._corrected:
            parts["log_q"] = tf.gather(tf.gather(batch.log_q, batch.items), places)
        return self._list_loss({**parts, "mask": batch.lists >= 0, "weights": tf.gather(batch.weights, places)})

    @property
    def _corrected(self) -> bool:
        """Whether items have different chances to be in a list: candidates by popularity, and no further rows."""
        options = self.options
        drawn = options.candidates_per_row and options.candidates_from in _DRAWN_BY_POPULARITY
        return bool(drawn) and options.list_by is None

    def _taught(self, model: PreRankingModel, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        assert self._teacher_loss is not None
        known = tf.math.is_finite(batch.teacher)
        if self.options.teacher_on == "candidates":
            known &= tf.range(tf.size(known)) >= row_count(model, batch)
        teacher, weights = tf.where(known, batch.teacher, 0.0), batch.weights
        if self.options.teacher_loss == "pointwise":
            parts = {"logits": logits, "teacher": teacher, "mask": known, "weights": weights}
            return self._teacher_loss({name: part[tf.newaxis] for name, part in parts.items()})
        places = tf.maximum(batch.lists, 0)
        parts = {name: tf.gather(part, places) for name, part in (("logits", logits), ("teacher", teacher))}
        mask = (batch.lists >= 0) & tf.gather(known, places)
        return self._teacher_loss({**parts, "mask": mask, "weights": tf.gather(weights, places)})


def row_count(model: PreRankingModel, batch: Batch) -> tf.Tensor:
    """How many rows R of the data a batch has."""
    return tf.shape(batch.features[model.spec.user_id])[0]


def log_probabilities(logits: tf.Tensor) -> tf.Tensor:
    """The logs (..., 2) of the probabilities of labels 0 and 1 that logits (...) stand for.

    They are the two logits of JRC for a model that has one: their difference is the model's logit, and at JRC's optimum
    its logits are these, but for a constant of each list.
    """
    return tf.stack([tf.math.log_sigmoid(-logits), tf.math.log_sigmoid(logits)], axis=-1)


def list_loss(options: ObjectiveOptions, stages: Sequence[int] = ()) -> ListLoss | None:
    """The loss over lists that `options` ask for; None for none.

    Args:
        options: name it.
        stages: the stages of the data's rows, ascending; of `stage_softmax`, each but the lowest is a task.
    """
    if options.loss == "cross_entropy":
        return None
    made = {
        "regression_compatible": lambda: RegressionCompatibleLoss(ranking_weight=1.0),
        "joint_ranking_calibration": lambda: JointRankingCalibrationLoss(ranking_weight=1.0),
        "pairwise": PairwiseLoss,
        "softmax": ListSoftmaxLoss,
        "top_k": lambda: TopKLoss(options.loss_k),
        "full_stage": FullStageLoss,
        "stage_softmax": lambda: StageSoftmaxLoss(list(stages[1:])),
    }
    return made[options.loss]()


def teacher_loss(options: ObjectiveOptions) -> ListLoss:
    """The loss of a teacher that `options` ask for."""
    if options.teacher_loss == "pairwise":
        return PairwiseDistillationLoss()
    kind = PointwiseDistillationLoss if options.teacher_loss == "pointwise" else ListwiseDistillationLoss
    return kind(options.teacher_temperature)
