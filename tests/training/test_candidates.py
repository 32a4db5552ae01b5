import numpy as np
import pytest

from training.candidates import Candidates
from training.item_states import NEVER
from training.row_keys import RowKeys

NONE = np.nan


def keys(**columns):
    given = {
        #          0  1  2  3  4  5
        "users":  [0, 0, 1, 1, 2, 2],
        "items":  [0, 1, 0, 2, 3, 0],
        "times":  [1, 2, 3, 4, 5, 6],
        "labels": [1, 0, 1, NONE, 1, 0],
        "requests": [0, 0, 1, 1, 1, 2],
    } | columns  # fmt: skip
    rows = len(given["items"])
    kinds = {"labels": np.float32, "times": np.int64}
    arrays = {name: np.array(values, kinds.get(name, np.int32)) for name, values in given.items()}
    other = {"weights": np.ones(rows, np.float32), "stages": np.zeros(rows, np.int32)}
    return RowKeys(**arrays, **other, teacher=np.full(rows, np.nan, np.float32))


def made(**columns):
    found = keys(**columns)
    first = np.full(5, NEVER)
    np.minimum.at(first, found.items, found.times)
    return Candidates(found, first)


def shares(items, size=5):
    return np.bincount(items, minlength=size) / len(items)


def test_catalogue_gives_each_item_that_is_alive_the_same_chance():
    drawn = made().draw("catalogue", np.repeat([0, 3, 5], 4000), np.random.default_rng(0))
    one, three, four = np.split(drawn.items, 3)
    assert set(one) == {0}, "at its own time an item is alive"
    np.testing.assert_allclose(shares(three), [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=0.03)
    np.testing.assert_allclose(shares(four), [0.25, 0.25, 0.25, 0.25, 0], atol=0.03)
    np.testing.assert_allclose(drawn.log_q, np.repeat(-np.log([1, 3, 4]), 4000), rtol=1e-6)


def test_popularity_gives_an_item_its_share_of_the_earlier_rows():
    drawn = made().draw("popularity", np.repeat([0, 5], 4000), np.random.default_rng(0))
    nothing, last = np.split(drawn.items, 2)
    assert set(nothing) == {0}, "the row's own item stands where there is no earlier row"
    assert not drawn.kept[:4000].any()
    expected = np.array([2, 1, 1, 1, 0]) / 5
    np.testing.assert_allclose(shares(last), expected, atol=0.03)
    np.testing.assert_allclose(drawn.log_q[4000:], np.log(expected[last]), rtol=1e-6)


def test_request_gives_each_other_row_the_same_chance():
    drawn = made(labels=[1, 0, 1, 0, 0, 0]).draw("request", np.repeat([0, 2, 5], 4000), np.random.default_rng(0))
    first, second, third = np.split(drawn.items, 3)
    assert set(first) == {1}
    np.testing.assert_allclose(shares(second), [0, 0, 0.5, 0.5, 0], atol=0.03)
    assert set(third) == {0}
    assert drawn.kept[:8000].all()
    assert not drawn.kept[8000:].any(), "a request of one row has no other"
    np.testing.assert_allclose(drawn.log_q[4000:8000], -np.log(2), rtol=1e-6)


def test_a_positive_of_the_request_is_an_accidental_hit():
    drawn = made().draw("request", np.repeat([2], 500), np.random.default_rng(0))
    assert not drawn.kept[drawn.items == 3].any()
    assert drawn.kept[drawn.items == 2].all()


@pytest.mark.parametrize(
    ("row", "item", "hit"),
    [
        (0, 0, True),  # its own
        (1, 0, True),  # liked before
        (1, 2, False),
        (5, 3, True),  # liked by then
        (4, 3, True),
        (3, 0, True),
        (2, 3, False),  # liked by another user only
        (1, 1, True),  # its own, whatever its label
        (0, 1, False),  # rated later, and no positive
    ],
)
def test_accidental_hits(row, item, hit):
    assert made().hits(np.array([row]), np.array([item])).tolist() == [hit]


def test_a_later_positive_is_no_hit():
    """What the user will like is not known at the time."""
    later = made(users=[0, 0, 0, 0, 0, 0], labels=[0, 0, 0, 0, 1, 0])
    assert later.hits(np.array([1, 4, 5]), np.array([3, 3, 3])).tolist() == [False, True, True]


def test_without_any_positive():
    none = made(labels=[0, 0, 0, 0, 0, 0])
    assert none.hits(np.array([0, 0]), np.array([0, 1])).tolist() == [True, False]


def test_shares_of_the_training_rows():
    np.testing.assert_allclose(np.exp(made().log_shares(np.array([0, 1, 3]))), [3 / 6, 1 / 6, 1 / 6], rtol=1e-6)
