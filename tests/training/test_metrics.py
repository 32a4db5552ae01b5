import math
from itertools import permutations

import numpy as np
import pytest
from sklearn import metrics as sk

from training import metrics


def sample(rows=4000, users=150, seed=0, levels=40):
    """Labels, probabilities with many ties, and users of very different activity; some have one class alone."""
    random = np.random.default_rng(seed)
    groups = np.minimum(random.geometric(0.03, rows), users)
    probabilities = random.integers(0, levels + 1, rows) / levels
    labels = (random.random(rows) < np.clip(probabilities + random.normal(0, 0.2, rows), 0, 1)).astype(np.int64)
    labels[groups % 7 == 0] = 1
    labels[groups % 11 == 0] = 0
    return labels, probabilities, groups


def slow_auc(labels, scores):
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels == 1] for n in scores[labels == 0]]
    return sum(pairs) / len(pairs)


def slow_gauc(labels, scores, groups):
    total, rows, users_out, rows_out = 0.0, 0, 0, 0
    for user in np.unique(groups):
        mine = groups == user
        if labels[mine].min() == labels[mine].max():
            users_out, rows_out = users_out + 1, rows_out + mine.sum()
            continue
        total, rows = total + mine.sum() * slow_auc(labels[mine], scores[mine]), rows + mine.sum()
    return total / rows, users_out / np.unique(groups).size, rows_out / labels.size


def ndcg_of_order(labels, k):
    def dcg(ordered):
        return sum(y / math.log2(rank + 2) for rank, y in enumerate(ordered[:k]))

    return dcg(labels) / dcg(sorted(labels, reverse=True))


def recall_of_order(labels, k):
    return sum(labels[:k]) / sum(labels)


def expectation_over_orders(labels, scores, k, value_of_order):
    values = []
    for order in permutations(range(len(labels))):
        ordered = [scores[i] for i in order]
        if ordered == sorted(ordered, reverse=True):
            values.append(value_of_order([labels[i] for i in order], k))
    return np.mean(values)


def test_auc_is_that_of_scikit_learn_and_of_all_pairs():
    labels, scores, _ = sample(800)
    assert metrics.auc(labels, scores) == pytest.approx(slow_auc(labels, scores), abs=1e-12)
    assert metrics.auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_is_that_of_scikit_learn_with_certain_and_wrong_predictions(dtype):
    labels, probabilities, _ = sample()
    probabilities = probabilities.astype(dtype)
    assert {0, 1} <= set(probabilities[labels == 1])
    assert metrics.log_loss(labels, probabilities) == pytest.approx(sk.log_loss(labels, probabilities), rel=1e-6)


def test_gauc_is_that_of_a_loop_over_users():
    labels, scores, groups = sample()
    result = metrics.gauc(labels, scores, groups)
    assert result == pytest.approx(slow_gauc(labels, scores, groups), abs=1e-12)
    assert 0 < result.users_left_out < 1
    assert 0 < result.rows_left_out < 1


def test_ranking_is_that_of_scikit_learn_per_user():
    labels, scores, groups = sample()
    expected, users = [], [user for user in np.unique(groups) if (groups == user).sum() > 10]
    users = [user for user in users if labels[groups == user].any()]
    for user in users:
        mine = groups == user
        expected.append(sk.ndcg_score(labels[None, mine], scores[None, mine], k=10))
    result = metrics.ranking_at_k(labels, scores, groups)
    assert result.users == len(users)
    assert result.users < np.unique(groups).size
    assert result.ndcg == pytest.approx(np.mean(expected), abs=1e-12)
    assert metrics.ndcg_at_k(labels, scores, groups) == result.ndcg
    assert metrics.recall_at_k(labels, scores, groups) == result.recall


@pytest.mark.parametrize("k", [1, 3, 5])
def test_ranking_of_ties_is_the_expectation_over_all_orders(k):
    random = np.random.default_rng(k)
    labels, scores = random.integers(0, 2, (8, 7)), random.integers(0, 3, (8, 7)) / 2
    labels[:, 0] = 1
    groups = np.repeat(np.arange(8), 7)
    result = metrics.ranking_at_k(labels.ravel(), scores.ravel(), groups, k)
    for value, of_order in ((result.ndcg, ndcg_of_order), (result.recall, recall_of_order)):
        expected = [expectation_over_orders(list(y), list(s), k, of_order) for y, s in zip(labels, scores, strict=True)]
        assert value == pytest.approx(np.mean(expected), abs=1e-12)


def test_calibration_error_is_that_of_a_loop_over_bins():
    random = np.random.default_rng(0)
    probabilities, labels = np.r_[random.random(997), 0.0, 1.0, 1 / 15], random.integers(0, 2, 1000)
    expected = 0.0
    for low in range(15):
        inside = (probabilities * 15 >= low) & ((probabilities * 15 < low + 1) | (low == 14))
        expected += abs(probabilities[inside].mean() - labels[inside].mean()) * inside.sum() / 1000
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_is_zero_where_probabilities_are_frequencies():
    assert metrics.expected_calibration_error([0, 1, 1, 1, 0, 0], [0.75] * 4 + [0.0] * 2) == pytest.approx(0)
    assert metrics.expected_calibration_error([1, 1], [0.0, 0.0]) == 1


def test_no_metric_depends_on_the_order_of_the_rows():
    labels, scores, groups = sample()
    order = np.random.default_rng(1).permutation(labels.size)
    straight = metrics.evaluate(labels, scores, groups)
    assert metrics.evaluate(labels[order], scores[order], groups[order]) == pytest.approx(straight, abs=1e-12)


@pytest.mark.parametrize("first", [0, 1])
def test_a_constant_score_gains_nothing_from_sorted_labels(first):
    labels = np.tile(np.r_[np.full(15, first), np.full(15, 1 - first)], 20)
    result = metrics.evaluate(labels, np.full(600, 0.5), np.repeat(np.arange(20), 30))
    assert result["auc"] == result["gauc"] == 0.5
    assert result["ndcg@10"] == pytest.approx(0.5)
    assert result["recall@10"] == pytest.approx(1 / 3)


def test_groups_may_be_strings_and_need_not_be_contiguous():
    labels, scores, groups = sample()
    named = np.array([f"A{user * 7919 % 1000}" for user in groups])
    straight = metrics.evaluate(labels, scores, groups)
    assert metrics.evaluate(labels, scores, named) == pytest.approx(straight, abs=1e-12)
    assert metrics.evaluate(labels, scores, named.astype(object)) == pytest.approx(straight, abs=1e-12)


def test_logits_give_the_metrics_of_their_probabilities():
    labels, probabilities, groups = sample()
    logits = np.log((probabilities + 1e-3) / (1 - probabilities + 1e-3))
    straight = metrics.evaluate(labels, 1 / (1 + np.exp(-logits)), groups)
    assert metrics.evaluate(labels, logits, groups, logits=True) == pytest.approx(straight, abs=1e-12)


def test_logits_keep_apart_what_float32_probabilities_tie():
    labels, logits = [0, 1, 0, 1], np.array([20, 30, 25, 40], np.float32)
    assert metrics.auc(labels, 1 / (1 + np.exp(-logits))) == 0.5
    assert metrics.evaluate(labels, logits, [1] * 4, logits=True)["auc"] == 1.0


def test_keys_and_counts():
    labels, scores, groups = sample()
    result = metrics.evaluate(labels, scores, groups, k=5)
    names = "auc logloss gauc gauc_users_left_out gauc_rows_left_out ndcg@5 recall@5 ranking_users ece rows positives"
    assert list(result) == names.split()
    assert result["rows"] == labels.size
    assert result["positives"] == labels.sum()


def test_one_user():
    labels, scores, _ = sample(300)
    result = metrics.evaluate(labels, scores, np.zeros(300))
    assert result["gauc"] == pytest.approx(result["auc"], abs=1e-12)
    assert result["gauc_users_left_out"] == result["gauc_rows_left_out"] == 0
    assert result["ranking_users"] == 1


def test_one_class_has_no_auc_but_a_loss():
    for label in (0, 1):
        result = metrics.evaluate([label] * 12, np.linspace(0.1, 0.9, 12), [1] * 12)
        assert math.isnan(result["auc"])
        assert math.isnan(result["gauc"])
        assert result["gauc_users_left_out"] == result["gauc_rows_left_out"] == 1
        assert result["ranking_users"] == label
        assert math.isnan(result["ndcg@10"]) == (label == 0)
        assert math.isfinite(result["logloss"])
        assert math.isfinite(result["ece"])


def test_no_rows():
    result = metrics.evaluate([], [], [])
    counts = {"rows", "positives", "ranking_users"}
    assert all(result[name] == 0 if name in counts else math.isnan(result[name]) for name in result)


def test_a_user_with_k_rows_does_not_count():
    assert metrics.ranking_at_k([1] * 10, np.arange(10.0), [1] * 10).users == 0
    assert metrics.ranking_at_k([1] * 11, np.arange(11.0), [1] * 11).users == 1


def test_rela_impr():
    assert metrics.rela_impr(0.72, 0.7) == pytest.approx(10)
    assert metrics.rela_impr(0.7, 0.7) == 0
    assert math.isnan(metrics.rela_impr(0.7, 0.5))


@pytest.mark.parametrize(
    ("labels", "scores", "groups", "words"),
    [
        ([0, 1], [0.5], [1, 1], "one length"),
        ([0, 2], [0.5, 0.5], [1, 1], "0 or 1"),
        ([0, 1], [0.5, math.nan], [1, 1], "1 NaN of 2"),
        ([0, 1], [0.5, 1.5], [1, 1], "lie in"),
        ([0, 1], [0.5, 0.5], [1], "one length"),
        ([0, 1], [0.5, 0.5], [1, math.nan], "1 rows without"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(labels, scores, groups, words):
    with pytest.raises(ValueError, match=words):
        metrics.evaluate(labels, scores, groups)


def test_a_million_rows_take_seconds():
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 1_000_000), random.random(1_000_000, np.float32)
    result = metrics.evaluate(labels, scores, random.integers(0, 100_000, 1_000_000))
    assert result["gauc"] == pytest.approx(0.5, abs=0.01)
