"""The losses over lists in NumPy: row by row, as their formulas stand, in double precision."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import layers


def softplus(x):
    return np.logaddexp(0.0, x)


def log_sigmoid(x):
    return -softplus(-x)


def cross_entropy(label, logit):
    return -label * log_sigmoid(logit) - (1 - label) * log_sigmoid(-logit)


def mean(pairs):
    """The mean of (weight, value) pairs by their weights."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0


def lists(mask):
    """Of each list, its number and the places of its rows."""
    return [(g, [i for i in range(mask.shape[1]) if mask[g, i]]) for g in range(len(mask))]


def pairwise(logits, labels, mask, weights, teacher=None, margin=0.0):
    found = []
    for g, rows in lists(mask):
        for i in rows:
            for j in rows:
                if labels[g, i] > labels[g, j]:
                    apart = margin if teacher is None else margin * max(0.0, teacher[g, i] - teacher[g, j])
                    loss = softplus(apart - (logits[g, i] - logits[g, j]))
                    found.append((weights[g, i], loss))
    return mean(found)


def list_softmax(logits, labels, mask, weights, log_q=None, items=None, keep_positives=True):
    log_q = np.zeros_like(logits) if log_q is None else np.broadcast_to(log_q, logits.shape)
    items = None if items is None else np.broadcast_to(items, logits.shape)
    found = []
    for g, rows in lists(mask):
        liked = [i for i in rows if labels[g, i] > 0]
        for i in liked:
            against = []
            for j in rows:
                accident = items is not None and j not in liked and any(items[g, j] == items[g, k] for k in liked)
                if j != i and not accident and (keep_positives or j not in liked):
                    against.append(np.exp(logits[g, j] - log_q[g, j]))
            if against:
                own = np.exp(logits[g, i] - log_q[g, i])
                found.append((weights[g, i] * labels[g, i], -np.log(own / (own + sum(against)))))
    return mean(found)


def regression_compatible(logits, labels, mask, weights, ranking_weight=0.5):
    regression, ranking = [], []
    for g, rows in lists(mask):
        for i in rows:
            regression.append((weights[g, i], cross_entropy(labels[g, i], logits[g, i])))
            if len(rows) > 1:
                total = sum(np.exp(log_sigmoid(logits[g, j])) for j in rows)
                ranking.append((weights[g, i] * labels[g, i], np.log(total) - log_sigmoid(logits[g, i])))
    return (1 - ranking_weight) * mean(regression) + ranking_weight * mean(ranking)


def joint_ranking_calibration(logits, labels, mask, weights, ranking_weight=0.5, keep_same_label=True):
    regression, ranking = [], []
    for g, rows in lists(mask):
        for i in rows:
            label = int(labels[g, i])
            own = np.exp(logits[g, i, label])
            regression.append((weights[g, i], -np.log(own / np.exp(logits[g, i]).sum())))
            among = [j for j in rows if j == i or keep_same_label or labels[g, j] != label]
            if len(rows) > 1:
                ranking.append((weights[g, i], -np.log(own / sum(np.exp(logits[g, j, label]) for j in among))))
    return (1 - ranking_weight) * mean(regression) + ranking_weight * mean(ranking)


def top_k(logits, mask, weights, labels=None, teacher=None, k=2, temperature=1.0):
    found = []
    for g, rows in lists(mask):
        if len(rows) <= k:
            continue
        falling = sorted((logits[g, i] for i in rows), reverse=True)
        threshold = (falling[k - 1] + falling[k]) / 2
        for i in rows:
            wanted = sum(teacher[g, j] > teacher[g, i] for j in rows) < k if labels is None else labels[g, i]
            found.append((weights[g, i], cross_entropy(float(wanted), (logits[g, i] - threshold) / temperature)))
    return mean(found)


def full_stage(logits, stages, mask, weights, stage_weights=None):
    found = []
    for g, rows in lists(mask):
        for i in rows:
            for j in rows:
                if stages[g, i] > stages[g, j]:
                    weight = 1.0 if stage_weights is None else stage_weights[stages[g, i]]
                    found.append((weight * weights[g, i], softplus(-(logits[g, i] - logits[g, j]))))
    return mean(found)


def stage_softmax(logits, stages, mask, weights, thresholds, task_weights):
    total = 0.0
    for threshold, task_weight in zip(thresholds, task_weights, strict=True):
        found = []
        for g, rows in lists(mask):
            others = sum(np.exp(logits[g, j]) for j in rows if stages[g, j] < threshold)
            for i in rows:
                if stages[g, i] >= threshold and others:
                    own = np.exp(logits[g, i])
                    found.append((weights[g, i], -np.log(own / (own + others))))
        total += task_weight * mean(found)
    return total


def pointwise_distillation(logits, teacher, mask, weights, temperature=1.0):
    found = []
    for g, rows in lists(mask):
        for i in rows:
            soft = 1 / (1 + np.exp(-teacher[g, i] / temperature))
            found.append((weights[g, i], cross_entropy(soft, logits[g, i] / temperature)))
    return temperature**2 * mean(found)


def pairwise_distillation(logits, teacher, mask, weights):
    found = []
    for g, rows in lists(mask):
        for i in rows:
            for j in rows:
                margin = teacher[g, i] - teacher[g, j]
                if margin > 0:
                    loss = max(0.0, margin - (logits[g, i] - logits[g, j]))
                    found.append((weights[g, i], loss))
    return mean(found)


def listwise_distillation(logits, teacher, mask, weights, temperature=1.0):
    found = []
    for g, rows in lists(mask):
        if len(rows) < 2:
            continue
        of_teacher = sum(np.exp(teacher[g, j] / temperature) for j in rows)
        of_student = sum(np.exp(logits[g, j] / temperature) for j in rows)
        for i in rows:
            share = np.exp(teacher[g, i] / temperature) / of_teacher
            loss = -np.log(np.exp(logits[g, i] / temperature) / of_student)
            found.append((weights[g, i] * share, loss))
    return temperature**2 * mean(found)


@dataclass(frozen=True)
class Case:
    """A loss with its options, what it is in NumPy, and what it takes beside the logits, the mask and the weights."""

    layer: type
    formula: Any
    takes: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def make(self):
        return self.layer(**self.options)

    def expected(self, parts):
        return self.formula(**{name: np.asarray(part) for name, part in parts.items()}, **self.options)


CASES = {
    "pairwise": Case(layers.PairwiseLoss, pairwise, ("labels",)),
    "pairwise of grades": Case(layers.PairwiseLoss, pairwise, ("labels=stages",), {"margin": 0.5}),
    "pairwise by the teacher": Case(layers.PairwiseLoss, pairwise, ("labels", "teacher"), {"margin": 2.0}),
    "softmax": Case(layers.ListSoftmaxLoss, list_softmax, ("labels",)),
    "softmax of soft labels": Case(layers.ListSoftmaxLoss, list_softmax, ("labels=soft",)),
    "softmax, logQ": Case(layers.ListSoftmaxLoss, list_softmax, ("labels", "log_q", "items")),
    "softmax, logQ, same items": Case(layers.ListSoftmaxLoss, list_softmax, ("labels", "log_q=of_all", "items=of_all")),
    "softmax of each positive": Case(
        layers.ListSoftmaxLoss, list_softmax, ("labels", "items"), {"keep_positives": False}
    ),
    "regression compatible": Case(
        layers.RegressionCompatibleLoss, regression_compatible, ("labels",), {"ranking_weight": 0.7}
    ),
    "joint": Case(layers.JointRankingCalibrationLoss, joint_ranking_calibration, ("labels",), {"ranking_weight": 0.7}),
    "joint, other label only": Case(
        layers.JointRankingCalibrationLoss, joint_ranking_calibration, ("labels",), {"keep_same_label": False}
    ),
    "top K": Case(layers.TopKLoss, top_k, ("labels",), {"k": 2, "temperature": 0.5}),
    "top K of the teacher": Case(layers.TopKLoss, top_k, ("teacher",), {"k": 3}),
    "full stage": Case(layers.FullStageLoss, full_stage, ("stages",)),
    "full stage, weighted": Case(
        layers.FullStageLoss, full_stage, ("stages",), {"stage_weights": [0.0, 0.0, 1.0, 2.0]}
    ),
    "stage softmax": Case(
        layers.StageSoftmaxLoss, stage_softmax, ("stages",), {"thresholds": [3, 1], "task_weights": [1.0, 0.3]}
    ),
    "pointwise distillation": Case(
        layers.PointwiseDistillationLoss, pointwise_distillation, ("teacher",), {"temperature": 2.0}
    ),
    "pairwise distillation": Case(layers.PairwiseDistillationLoss, pairwise_distillation, ("teacher",)),
    "listwise distillation": Case(
        layers.ListwiseDistillationLoss, listwise_distillation, ("teacher",), {"temperature": 2.0}
    ),
}


def random_parts(case, seed=0, sizes=(6, 4, 1, 0, 3, 6)):
    """Random lists of the given sizes, their rows at any places; nonsense stands where there is no row."""
    random = np.random.default_rng(seed)
    shape = len(sizes), max(*sizes, 1)
    two = (2,) if case.layer is layers.JointRankingCalibrationLoss else ()
    mask = np.stack([random.permutation(np.arange(shape[1]) < size) for size in sizes])
    kinds = {
        "labels": random.integers(0, 2, shape).astype(np.float32),
        "soft": random.random(shape).astype(np.float32),
        "stages": random.integers(0, 4, shape).astype(np.int32),
        "teacher": random.normal(size=shape).astype(np.float32),
        "items": random.integers(0, 4, shape).astype(np.int32),
        "log_q": np.log(random.random(shape)).astype(np.float32),
    }
    parts = {"logits": (2 * random.normal(size=(*shape, *two))).astype(np.float32)}
    for taken in case.takes:
        name, _, kind = taken.partition("=")
        parts[name] = kinds[name][:1] if kind == "of_all" else kinds[kind or name]
    parts["weights"] = random.uniform(0.5, 2, shape).astype(np.float32)
    for part in parts.values():
        if part.shape[:2] == shape:
            part[~mask] = np.nan if part.dtype == np.float32 else 1
    return {**parts, "mask": mask}
