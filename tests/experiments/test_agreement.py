import numpy as np
import pyarrow.parquet as pq
import pytest

import models
from experiments import agreement
from experiments.agreement import NOT_AN_ITEM, Candidates, compare, top_items
from training.batches import read_columns

_NAMES = ["group", "item_group", "timestamp", "label"]


@pytest.fixture(scope="module")
def candidates(prepared):
    return Candidates.of(prepared, users=12)


@pytest.fixture(scope="module")
def rows(prepared):
    return {part: read_columns(prepared, part, _NAMES) for part in ("train", "validation", "test")}


def _raw(prepared, part):
    return [row for path in prepared.parts(part) for row in pq.read_table(path).to_pylist()]


def test_users_are_as_at_their_first_test_row(prepared, candidates):
    test = _raw(prepared, "test")
    firsts = {}
    for row in sorted(test, key=lambda row: row["timestamp"]):
        firsts.setdefault(row["group"], row)
    known = {(row["user_id"], len(row["user_hist"]), np.float32(_scaled(prepared, row))) for row in firsts.values()}
    users = candidates.users
    assert candidates.user_count == 12
    for place in range(12):
        filled = int((users["user_hist"][place] != 0).sum())
        assert (users["user_id"][place], filled, users["user_mean_rating"][place]) in known


def _scaled(prepared, row, name="user_mean_rating"):
    field = prepared.spec[name]
    return (float(np.float32(row[name])) - field.mean) / field.scale


def test_items_know_nothing_of_the_test_part(prepared, candidates):
    """An item is as at its first test row, which knows what came before it alone, or as at its last row before."""
    chosen = {}
    for row in sorted(_raw(prepared, "train") + _raw(prepared, "validation"), key=lambda row: row["timestamp"]):
        chosen[row["item_group"]] = row
    for row in sorted(_raw(prepared, "test"), key=lambda row: -row["timestamp"]):
        chosen[row["item_group"]] = row
    numbers = sorted(chosen)
    assert candidates.item_count == len(numbers)
    found = candidates.items
    np.testing.assert_array_equal(found["movie_id"], [chosen[number]["movie_id"] for number in numbers])
    expected = [_scaled(prepared, chosen[number], "item_mean_rating") for number in numbers]
    np.testing.assert_allclose(found["item_mean_rating"], expected, atol=1e-6)


def test_training_items_are_left_out_and_test_positives_wanted(candidates, rows):
    drawn = np.sort(np.random.default_rng(agreement._SEED).permutation(np.unique(rows["test"]["group"]).size)[:12])
    users = np.unique(rows["test"]["group"])[drawn]
    numbers = np.unique(np.concatenate([part["item_group"] for part in rows.values()]))
    for place, user in enumerate(users):
        trained = rows["train"]["item_group"][rows["train"]["group"] == user]
        mine = (rows["test"]["group"] == user) & (rows["test"]["label"] == 1)
        liked = set(rows["test"]["item_group"][mine]) - set(trained)
        assert set(numbers[candidates.left_out[place]]) == set(trained)
        assert set(numbers[candidates.positives[place]]) == liked


def test_unseen_items_are_those_that_training_lacks(candidates, rows):
    numbers = np.unique(np.concatenate([part["item_group"] for part in rows.values()]))
    trained = set(rows["train"]["item_group"])
    assert candidates.unseen.tolist() == [number not in trained for number in numbers]
    assert 0 < candidates.unseen.sum() < candidates.item_count


@pytest.mark.parametrize("items_a_call", [65_536, 7])
@pytest.mark.parametrize("name", ["fit", "cold"])
def test_best_items_are_those_of_the_whole_forward_pass(prepared, candidates, name, items_a_call, monkeypatch):
    monkeypatch.setattr(agreement, "_ITEMS_A_CALL", items_a_call)
    model = models.build(name, prepared.spec, seed=3)
    best = top_items(model, candidates, count=20)
    rows = candidates.item_count
    for user in (0, 7):
        repeated = {key: np.repeat(values[user : user + 1], rows, axis=0) for key, values in candidates.users.items()}
        logits = model({**repeated, **candidates.items}, training=False).numpy()
        logits[candidates.left_out[user]] = -np.inf
        np.testing.assert_allclose(logits[best[user]], np.sort(logits)[::-1][:20], atol=1e-5)
        assert not set(best[user]) & set(candidates.left_out[user])


def test_shares_by_hand():
    unseen = np.array([False, True, False, True, True, False])
    nothing = np.array([], int)
    made = Candidates({}, {"movie_id": np.arange(6)}, [nothing] * 2, [np.array([1, 5]), nothing], unseen)
    best = np.array([[0, 1, 2], [3, 4, NOT_AN_ITEM]])
    ranker = np.array([[2, 0, 3], [4, 3, NOT_AN_ITEM]])
    found = compare(best, ranker, made)
    assert found["overlap@10"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["recall@10"] == pytest.approx(1 / 2)  # of the one user with a positive
    assert found["unseen@10"] == pytest.approx((1 / 3 + 1) / 2)  # of the second user's two items
    assert (found["users"], found["users_with_positives"], found["items"], found["unseen_items"]) == (2, 1, 6, 3)
    assert compare(ranker, None, made)["overlap@10"] is None


def test_a_user_with_few_items_left_has_no_more(prepared, candidates):
    model = models.build("target_means", prepared.spec)
    users = {name: values[:1] for name, values in candidates.users.items()}
    items = {name: values[:5] for name, values in candidates.items.items()}
    some = Candidates(users, items, [np.array([0, 3])], [np.array([1])], candidates.unseen[:5])
    # untrained, it gives all the same score
    assert top_items(model, some, count=10).tolist() == [[1, 2, 4, *[NOT_AN_ITEM] * 7]]
    assert top_items(model, some, count=2).tolist() == [[1, 2]]
