import numpy as np
import pytest

from experiments.cascade.intervals import Users


def test_means_leave_out_what_is_missing():
    users = Users(np.array([1, 1, 2, 3]), samples=50)
    found = users.mean(np.array([1.0, 0.0, np.nan, 0.5]))
    assert found.mean == pytest.approx(0.5)
    assert found.requests == 3
    assert 0 <= found.low <= 0.5 <= found.high <= 1


def test_samples_are_of_users_and_not_of_requests():
    """Ten thousand requests of two users: a sample holds one of them twice, or each once."""
    groups = np.repeat([7, 9], 5000)
    found = Users(groups).mean(np.where(groups == 7, 1.0, 0.0))
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_an_interval_covers_the_true_mean():
    """Of 200 intervals on normal values of 60 users about 95 % cover the mean."""
    random = np.random.default_rng(0)
    users = Users(np.arange(60), samples=400)
    found = [users.mean(random.normal(3, 1, 60)) for _ in range(200)]
    assert np.mean([one.low <= 3 <= one.high for one in found]) == pytest.approx(0.95, abs=0.05)


def test_a_ratio_is_paired():
    """A twice as large value is a ratio of exactly 2 in every sample."""
    values = np.random.default_rng(1).random(30)
    found = Users(np.arange(30) % 10).ratio(2 * values, values)
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2, 2))


def test_no_value_is_no_number():
    found = Users(np.arange(3)).mean(np.full(3, np.nan))
    assert np.isnan([found.mean, found.low, found.high]).all()
    assert found.requests == 0
