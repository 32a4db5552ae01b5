"""Shares of best items; the users and items are tested with :mod:`training.requests`."""

import numpy as np
import pytest

from experiments.agreement import NOT_AN_ITEM, compare
from training.requests import Requests


def test_shares_by_hand():
    unseen = np.array([False, True, False, True, True, False])
    nothing = np.array([], int)
    zeros = np.zeros(6, int)
    made = Requests(
        {}, {"movie_id": np.arange(6)}, np.arange(2), [nothing] * 2, [np.array([1, 5]), nothing], zeros, zeros, unseen,
        np.arange(2), zeros,
    )  # fmt: skip
    best = np.array([[0, 1, 2], [3, 4, NOT_AN_ITEM]])
    ranker = np.array([[2, 0, 3], [4, 3, NOT_AN_ITEM]])
    found = compare(best, ranker, made)
    assert found["overlap@10"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["recall@10"] == pytest.approx(1 / 2)  # of the one user with a positive
    assert found["unseen@10"] == pytest.approx((1 / 3 + 1) / 2)  # of the second user's two items
    assert (found["users"], found["users_with_positives"], found["items"], found["unseen_items"]) == (2, 1, 6, 3)
    assert compare(ranker, None, made)["overlap@10"] is None
