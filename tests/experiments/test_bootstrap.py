import numpy as np
import pytest

from experiments import bootstrap
from training import metrics


@pytest.fixture
def rows():
    random = np.random.default_rng(3)
    users = random.integers(0, 40, 600)
    scores = np.round(random.normal(size=600), 1).astype(np.float32)  # with ties
    labels = (scores + random.normal(size=600) > 0).astype(np.int8)
    labels[users < 3] = 1
    return labels, scores, users


def test_replicates_are_metrics_of_samples_of_whole_users(rows):
    labels, scores, users = rows
    found = bootstrap.replicates(labels, scores, users, samples=5)
    random = np.random.default_rng(bootstrap._SEED)
    order = list(dict.fromkeys(users))
    for auc, gauc in found:
        drawn = random.integers(0, len(order), len(order))
        picked = [np.flatnonzero(users == order[place]) for place in drawn]
        new_user = np.repeat(np.arange(len(picked)), [len(each) for each in picked])
        at = np.concatenate(picked)
        assert auc == pytest.approx(metrics.auc(labels[at], scores[at]), abs=1e-12)
        assert gauc == pytest.approx(metrics.gauc(labels[at], scores[at], new_user).value, abs=1e-12)


def test_two_runs_are_compared_on_the_same_samples(rows):
    labels, scores, users = rows
    mine = bootstrap.replicates(labels, scores, users, samples=50)
    theirs = bootstrap.replicates(labels, scores * 2 + 1, users, samples=50)  # the same order
    np.testing.assert_array_equal(mine, theirs)
    assert np.ptp(mine[:, 0]) > 0


def test_csv_is_read_back():
    values = np.array([[0.81234, 0.5], [0.9, 1.0]])
    np.testing.assert_array_equal(bootstrap.from_csv(bootstrap.to_csv(values)), values)
    with pytest.raises(ValueError, match="expected the columns auc, gauc"):
        bootstrap.from_csv("auc\n0.5\n")
