"""Every metric of the judge against plain Python, on random pools and by hand."""

import math
import random

import numpy as np
import pytest

from experiments.cascade.metrics import CUTOFFS, STRATA, Pools, Truth, _tau, judge
from experiments.cascade.opened import pcoc

QUOTAS = (60, 25, 8)
_ITEMS = 120


@pytest.fixture(scope="module")
def made():
    """Pools of different lengths with many equal scores; the second request has no positive."""
    numbers = np.random.default_rng(3)
    places, scores, ranked, positives, truths = [], [], [], [], []
    for request in range(6):
        size = 80 - 9 * request
        places.append(np.sort(numbers.permutation(_ITEMS)[:size]))
        scores.append(numbers.integers(0, 12, size) / 4)
        ranked.append(np.round(scores[-1] + numbers.normal(size=size), 1))
        positives.append(np.sort(numbers.permutation(_ITEMS)[: 0 if request == 1 else 2 + request]))
        truths.append(numbers.random(_ITEMS))
    best = {k: np.array([sum(sorted(truth)[-k:]) for truth in truths]) for k in CUTOFFS}
    truth = Truth([truth[found] for truth, found in zip(truths, places, strict=True)], best)
    strata = np.arange(_ITEMS) % 3
    pools = Pools(places, positives, numbers.random(_ITEMS) < 0.2, strata, truth)
    return pools, scores, ranked, truths


@pytest.fixture(scope="module")
def found(made):
    pools, scores, ranked, _ = made
    return judge(pools, scores, ranked, QUOTAS)


def _share(part, whole):
    return len([one for one in part if one in whole]) / len(part) if part else math.nan


def _dcg(hits):
    return sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits) if hit)


class Plain:
    """One request and quota, by Python's lists and sorting; items are places in the catalogue."""

    def __init__(self, made, request, quota):
        pools, scores, ranked, truths = made
        items = pools.places[request].tolist()
        of_preranker = dict(zip(items, scores[request].tolist(), strict=True))
        self.of_ranker = dict(zip(items, ranked[request].tolist(), strict=True))
        self.scores = of_preranker
        self.order = sorted(items, key=lambda item: (-of_preranker[item], item))
        self.ranked = sorted(items, key=lambda item: (-self.of_ranker[item], item))
        self.passed = self.order[:quota]
        self.final = [item for item in self.ranked if item in self.passed]
        self.positives = pools.positives[request].tolist()
        self.unseen = np.flatnonzero(pools.unseen).tolist()
        self.stratum = pools.strata.tolist()
        self.truth = truths[request].tolist()
        self.quota = quota

    def values(self):
        values = {
            "agreed": _share(self.ranked[: self.quota], self.passed),
            "passed_recall": _share(self.positives, self.passed),
            "passed_unseen": _share(self.passed, self.unseen),
            "pool_recall": _share(self.positives, self.order),
            "pool_unseen": _share(self.order, self.unseen),
            "auc": self.auc(),
            "kendall_tau": self.tau(),
        }
        for k in CUTOFFS:
            first = self.final[:k]
            values[f"recall@{k}"] = _share(self.positives, first)
            ideal = _dcg([True] * min(k, len(self.positives)))
            values[f"ndcg@{k}"] = _dcg([item in self.positives for item in first]) / ideal if ideal else math.nan
            values[f"unseen@{k}"] = _share(first, self.unseen)
            values[f"survival@{k}"] = _share(self.ranked[:k], self.passed)
            values[f"overlap@{k}"] = _share(self.ranked[:k], self.order[:k])
            for number, stratum in enumerate(STRATA):
                of_stratum = [item for item in self.positives if self.stratum[item] == number]
                values[f"recall@{k}_{stratum}"] = _share(of_stratum, first)
            value = sum(self.truth[item] for item in first)
            values[f"true_positives@{k}"] = value
            values[f"regret@{k}"] = sum(sorted(self.truth)[-k:]) - value
            values[f"pool_regret@{k}"] = sum(sorted(self.truth[item] for item in self.order)[-k:]) - value
        return values

    def auc(self):
        pairs = [
            (self.scores[one], self.scores[other])
            for one in self.order if one in self.positives
            for other in self.order if other not in self.positives
        ]  # fmt: skip
        wins = sum((a > b) + 0.5 * (a == b) for a, b in pairs)
        return wins / len(pairs) if pairs else math.nan

    def tau(self):
        sign = lambda a, b: (a > b) - (a < b)  # noqa: E731
        pairs = [
            (sign(self.scores[a], self.scores[b]), sign(self.of_ranker[a], self.of_ranker[b]))
            for place, a in enumerate(self.order)
            for b in self.order[place + 1 :]
        ]
        untied = [sum(pair[side] != 0 for pair in pairs) for side in (0, 1)]
        return sum(a * b for a, b in pairs) / math.sqrt(untied[0] * untied[1])


def test_every_metric_is_that_of_plain_python(made, found):
    for request in range(6):
        for column, quota in enumerate(QUOTAS):
            expected = Plain(made, request, quota).values()
            assert set(found) == set(expected)
            for name, value in expected.items():
                assert found[name][request, column] == pytest.approx(value, abs=1e-12, nan_ok=True), (name, request)


def test_a_request_without_a_positive_has_no_recall_but_has_a_survival(found):
    assert np.isnan(found["recall@10"][1]).all()
    assert np.isnan(found["auc"][1]).all()
    assert np.isfinite(found["survival@10"][1]).all()


def test_the_ranker_before_itself_loses_nothing(made):
    pools, _, ranked, _ = made
    found = judge(pools, ranked, ranked, (60, 50))
    for name in ("survival@10", "survival@50", "agreed", "overlap@10", "overlap@50", "kendall_tau"):
        np.testing.assert_allclose(found[name], 1, err_msg=name)
    np.testing.assert_array_equal(found["recall@50"][:, 0], found["recall@50"][:, 1])


def test_by_hand():
    """Four items; the pre-ranker passes on 2 and 0, and the ranker prefers 0: of the positives 0 and 3 one is found."""
    strata, unseen = np.array([0, 1, 2, 2]), np.array([False, False, True, False])
    truth = Truth([np.array([0.5, 0.4, 0.3, 0.2])], {10: np.array([2.0]), 50: np.array([3.0])})
    pools = Pools([np.arange(4)], [np.array([0, 3])], unseen, strata, truth)
    found = judge(pools, [np.array([2.0, 1.0, 3.0, 0.0])], [np.array([9.0, 8.0, 1.0, 2.0])], (2,))
    values = {name: column[0, 0] for name, column in found.items()}
    assert values["recall@10"] == 0.5
    assert values["ndcg@10"] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert values["recall@10_head"] == 1
    assert math.isnan(values["recall@10_middle"])
    assert values["recall@10_tail"] == 0
    assert values["agreed"] == 0.5
    assert values["survival@10"] == 0.5
    assert values["unseen@10"] == 0.5
    assert values["true_positives@10"] == pytest.approx(0.8)
    assert values["regret@10"] == pytest.approx(1.2)
    assert values["pool_regret@10"] == pytest.approx(0.6)
    assert values["auc"] == 0.25  # of four pairs of a positive and another item only 0 before 1 is right
    assert values["kendall_tau"] == 0  # three of the six pairs are in the ranker's order


def test_without_a_truth_there_is_no_regret(made):
    pools, scores, ranked, _ = made
    found = judge(Pools(pools.places, pools.positives, pools.unseen, pools.strata), scores, ranked, (8,))
    assert not [name for name in found if "regret" in name or "true" in name]


def test_pcoc_is_predicted_over_observed_positives():
    labels = np.array([1, 0, 1])
    logits = np.array([math.log(3), 0.0, -math.log(3)])
    assert pcoc(labels, logits) == pytest.approx((0.75 + 0.5 + 0.25) / 2)
    assert pcoc(labels, logits, np.array([2.0, 4.0, 0.0])) == pytest.approx((2 * 0.75 + 4 * 0.5) / 2)
    assert pcoc(np.zeros(2), np.zeros(2)) is None


def test_chance_passes_on_its_share_of_the_positives():
    """A uniformly drawn list of 10 of 100 holds a tenth of the positives on average."""
    random_scores = np.random.default_rng(0)
    count = 400
    drawn = random.Random(1)
    places = [np.arange(100)] * count
    positives = [np.array(sorted(drawn.sample(range(100), 5))) for _ in range(count)]
    pools = Pools(places, positives, np.zeros(100, bool), np.zeros(100, int))
    scores = [random_scores.random(100) for _ in range(count)]
    found = judge(pools, scores, scores, (50,))
    assert np.mean(found["recall@10"]) == pytest.approx(0.1, abs=0.02)
    assert np.mean(found["auc"]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("scores", "of_ranker", "expected"),
    [
        ([0, 1], [0, 1], 1.0),  # a spread of exactly 1 is no constant
        ([1, 0], [5, 6], -1.0),
        ([0, 1, 2], [0, 2, 1], 1 / 3),
        ([1, 1], [0, 1], np.nan),
        ([0, 1], [3, 3], np.nan),
        ([0], [0], np.nan),
        ([], [], np.nan),
    ],
)
def test_kendalls_tau_by_hand(scores, of_ranker, expected):
    assert _tau(np.array(scores, float), np.array(of_ranker, float)) == pytest.approx(expected, nan_ok=True)
    same = np.array(of_ranker, float)
    constant = len(same) < 2 or len(set(of_ranker)) == 1
    assert _tau(same, same) == pytest.approx(np.nan if constant else 1.0, nan_ok=True)
