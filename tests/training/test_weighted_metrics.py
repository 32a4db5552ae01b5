"""Metrics of weighted rows, against scikit-learn's sample weights, plain loops, and rows that occur several times."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from training import metrics

MANY, LOSS = 3000, 1e-9


@pytest.fixture(scope="module")
def rows():
    """Labels, probabilities with many ties, users, and weights of which some are 0; some users have one class alone."""
    random = np.random.default_rng(4)
    groups = np.minimum(random.geometric(0.03, MANY), 120)
    scores = random.integers(0, 31, MANY) / 30
    labels = (random.random(MANY) < np.clip(scores + random.normal(0, 0.2, MANY), 0, 1)).astype(np.int64)
    labels[groups % 7 == 0] = 1
    weights = np.where(random.random(MANY) < 0.1, 0.0, random.gamma(1.0, 2.0, MANY))
    weights[groups == 5] = 0
    weights[(groups == 6) & (labels == 1)] = 0
    return labels, scores, groups, weights


def slow_auc(labels, scores, weights):
    won = pairs = 0.0
    for p in np.flatnonzero(labels == 1):
        for n in np.flatnonzero(labels == 0):
            pair = weights[p] * weights[n]
            pairs += pair
            won += pair * ((scores[p] > scores[n]) + 0.5 * (scores[p] == scores[n]))
    return won / pairs if pairs else math.nan


def test_auc_and_log_loss_are_those_of_scikit_learn(rows):
    labels, scores, _, weights = rows
    assert metrics.auc(labels, scores, weights) == pytest.approx(
        sk.roc_auc_score(labels, scores, sample_weight=weights), abs=LOSS
    )
    assert metrics.log_loss(labels, scores, weights) == pytest.approx(
        sk.log_loss(labels, scores, sample_weight=weights), rel=1e-9
    )
    few = slice(0, 200)
    assert metrics.auc(labels[few], scores[few], weights[few]) == pytest.approx(
        slow_auc(labels[few], scores[few], weights[few]), abs=LOSS
    )


def test_gauc_is_that_of_a_loop_over_users(rows):
    labels, scores, groups, weights = rows
    value = total = out = rows_out = 0.0
    for user in np.unique(groups):
        mine = groups == user
        auc = slow_auc(labels[mine], scores[mine], weights[mine])
        if math.isnan(auc):
            out, rows_out = out + 1, rows_out + weights[mine].sum()
            continue
        value, total = value + weights[mine].sum() * auc, total + weights[mine].sum()
    found = metrics.gauc(labels, scores, groups, weights)
    expected = (value / total, out / np.unique(groups).size, rows_out / weights.sum())
    assert found == pytest.approx(expected, abs=LOSS)
    assert 0 < found.users_left_out < 1


@pytest.mark.parametrize("k", [1, 5, 10])
def test_ranking_is_that_of_scikit_learn_with_weights_as_gains(rows, k):
    labels, scores, groups, weights = rows
    ndcg, recall = [], []
    for user in np.unique(groups):
        mine = groups == user
        gains = (labels * weights)[mine]
        if mine.sum() <= k or not gains.sum():
            continue
        ndcg.append(sk.ndcg_score([gains], [scores[mine]], k=k))
        found, given = 0.0, 0
        for score in sorted(set(scores[mine]), reverse=True):
            block = scores[mine] == score
            found += gains[block].mean() * min(block.sum(), max(k - given, 0))
            given += block.sum()
        recall.append(found / gains.sum())
    found = metrics.ranking_at_k(labels, scores, groups, k, weights)
    assert (found.ndcg, found.recall) == pytest.approx((np.mean(ndcg), np.mean(recall)), abs=LOSS)
    assert found.users == len(ndcg) > 10
    assert metrics.ndcg_at_k(labels, scores, groups, k, weights) == found.ndcg
    assert metrics.recall_at_k(labels, scores, groups, k, weights) == found.recall


def test_calibration_is_that_of_a_loop_over_bins(rows):
    labels, scores, _, weights = rows
    expected = 0.0
    for number in range(15):
        mine = np.minimum((scores * 15).astype(int), 14) == number
        if weights[mine].sum():
            means = (np.average(values[mine], weights=weights[mine]) for values in (scores, labels))
            expected += abs(next(means) - next(means)) * weights[mine].sum() / weights.sum()
    found = metrics.expected_calibration_error(labels, scores, weights=weights)
    assert found == pytest.approx(expected, abs=LOSS)


def test_integer_weights_are_rows_that_occur_so_often(rows):
    labels, scores, groups, _ = rows
    times = np.random.default_rng(1).integers(0, 4, MANY)
    repeated = [np.repeat(values, times) for values in (labels, scores, groups)]
    found, expected = metrics.evaluate(labels, scores, groups, weights=times), metrics.evaluate(*repeated)
    of_rows = ("auc", "logloss", "gauc", "gauc_rows_left_out", "ece")
    assert [found[name] for name in of_rows] == pytest.approx([expected[name] for name in of_rows], abs=LOSS)


def test_weights_of_one_size_change_nothing(rows):
    labels, scores, groups, _ = rows
    expected = metrics.evaluate(labels, scores, groups)
    for size in (1, 0.1):
        found = metrics.evaluate(labels, scores, groups, weights=np.full(MANY, size))
        assert found == pytest.approx(expected, abs=LOSS)


def test_without_weight_nothing_exists(rows):
    labels, scores, groups, _ = rows
    found = metrics.evaluate(labels, scores, groups, weights=np.zeros(MANY))
    for name in ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece"):
        assert math.isnan(found[name]), name
    assert math.isnan(metrics.auc([0, 1, 1], [0.1, 0.2, 0.3], [0.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "labels and weights must have one length. Received: 2, shape .1,."),
        ([1.0, -0.5], "weights must be 0 or more, and finite. Received: -0.5 to 1.0"),
        ([1.0, math.inf], "weights must be 0 or more, and finite"),
        ([1.0, math.nan], "weights must be 0 or more, and finite"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    for function in (
        lambda: metrics.auc([0, 1], [0.1, 0.2], weights),
        lambda: metrics.log_loss([0, 1], [0.1, 0.2], weights),
        lambda: metrics.expected_calibration_error([0, 1], [0.1, 0.2], weights=weights),
        lambda: metrics.gauc([0, 1], [0.1, 0.2], [0, 0], weights),
        lambda: metrics.evaluate([0, 1], [0.1, 0.2], [0, 0], weights=weights),
    ):
        with pytest.raises(ValueError, match=message):
            function()
