"""Requests of the judge: as of their time, nothing from later, and what they are to find."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from request_data import requests_data  # noqa: F401

from features import UNLABELLED
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from training import requests as module
from training.batches import read_columns
from training.requests import Requests

_NAMES = ["group", "item_group", "timestamp", "label", "row"]


@pytest.fixture(scope="module")
def requests(prepared):
    return Requests.of(prepared, "test", 12)


@pytest.fixture(scope="module")
def rows(prepared):
    return {part: read_columns(prepared, part, _NAMES) for part in ("train", "validation", "test")}


def _raw(data, part):
    return [row for path in data.parts(part) for row in pq.read_table(path).to_pylist()]


def _scaled(data, row, name):
    field = data.spec[name]
    return (float(np.float32(row[name])) - field.mean) / field.scale


def _drawn(rows, part):
    everyone = np.unique(rows[part]["group"])
    return everyone[np.sort(np.random.default_rng(module._SEED).permutation(everyone.size)[:12])]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_users_are_as_at_their_first_row_of_the_part(prepared, rows, part):
    found = Requests.of(prepared, part, 12)
    firsts = {}
    for row in sorted(_raw(prepared, part), key=lambda row: row["timestamp"]):
        firsts.setdefault(row["group"], row)
    users = _drawn(rows, part)
    assert found.count == 12
    assert found.groups.tolist() == users.tolist()
    assert found.user_lines.tolist() == [firsts[user]["row"] for user in users]
    means = [_scaled(prepared, firsts[user], "user_mean_rating") for user in users]
    np.testing.assert_allclose(found.users["user_mean_rating"], means, atol=1e-6)
    lengths = [len(firsts[user]["user_hist"]) for user in users]
    assert (found.users["user_hist"] != 0).sum(axis=1).tolist() == lengths


@pytest.mark.parametrize("part", ["validation", "test"])
def test_items_know_nothing_of_the_part(prepared, part):
    """An item is as at its first row of the part, which knows only what came before, or as at its last row before."""
    before = _raw(prepared, "train") + (_raw(prepared, "validation") if part == "test" else [])
    chosen = {}
    for row in sorted(before, key=lambda row: row["timestamp"]):
        chosen[row["item_group"]] = row
    for row in sorted(_raw(prepared, part), key=lambda row: -row["timestamp"]):
        chosen[row["item_group"]] = row
    numbers = sorted(chosen)
    found = Requests.of(prepared, part, 3)
    assert found.item_count == len(numbers)
    np.testing.assert_array_equal(found.items["movie_id"], [chosen[number]["movie_id"] for number in numbers])
    means = [_scaled(prepared, chosen[number], "item_mean_rating") for number in numbers]
    np.testing.assert_allclose(found.items["item_mean_rating"], means, atol=1e-6)
    assert found.item_lines.tolist() == [chosen[number]["row"] for number in numbers]


def test_training_items_are_left_out_and_later_positives_wanted(requests, rows):
    numbers = np.unique(np.concatenate([part["item_group"] for part in rows.values()]))
    for place, user in enumerate(_drawn(rows, "test")):
        trained = rows["train"]["item_group"][rows["train"]["group"] == user]
        mine = (rows["test"]["group"] == user) & (rows["test"]["label"] == 1)
        liked = set(rows["test"]["item_group"][mine]) - set(trained)
        assert set(numbers[requests.left_out[place]]) == set(trained)
        assert set(numbers[requests.positives[place]]) == liked


def test_popularity_counts_training_rows_only(requests, rows):
    numbers = np.unique(np.concatenate([part["item_group"] for part in rows.values()]))
    train = rows["train"]
    assert requests.training_rows.tolist() == [int((train["item_group"] == number).sum()) for number in numbers]
    first, last = train["timestamp"].min(), train["timestamp"].max()
    recent = train["item_group"][train["timestamp"] >= last - (last - first) / 10]
    assert requests.recent_rows.tolist() == [int((recent == number).sum()) for number in numbers]
    assert 0 < requests.recent_rows.sum() < requests.training_rows.sum()


def test_unseen_items_are_those_that_training_lacks(requests, rows):
    numbers = np.unique(np.concatenate([part["item_group"] for part in rows.values()]))
    trained = set(rows["train"]["item_group"])
    assert requests.unseen.tolist() == [number not in trained for number in numbers]
    assert 0 < requests.unseen.sum() < requests.item_count


def test_the_training_part_has_no_requests(prepared):
    with pytest.raises(ValueError, match="validation or test"):
        Requests.of(prepared, "train", 3)


def _made(training_rows, positives=()):
    counts = np.array(training_rows)
    nothing = np.array([], int)
    return Requests(
        users={},
        items={"item": np.arange(len(counts))},
        groups=np.zeros(1, int),
        left_out=[nothing],
        positives=[np.array(positives, int)],
        training_rows=counts,
        recent_rows=counts,
        unseen=counts == 0,
        user_lines=np.zeros(1, int),
        item_lines=np.arange(len(counts)),
    )


def test_strata_hold_a_third_of_the_training_rows_each():
    # of 30 rows item 0 has the first ten, and items 3 and 4 begin with rows 10 and 19 in the second third
    assert _made([10, 2, 2, 9, 7, 0, 0]).strata().tolist() == [0, 2, 2, 1, 1, 2, 2]
    assert _made([0, 0]).strata().tolist() == [2, 2]


def test_a_sample_of_the_catalogue_keeps_positives_and_has_of_every_stratum():
    counts = [100] * 10 + [10] * 100 + [1] * 1000
    whole = _made(counts, positives=[0, 500, 1109])
    found = whole.sampled(60)
    kept = found.item_lines
    assert 60 <= found.item_count <= 63
    assert found.items["item"].tolist() == kept.tolist() == sorted(kept)
    assert kept[found.positives[0]].tolist() == [0, 500, 1109]
    assert {int(stratum) for stratum in whole.strata()[kept]} == {0, 1, 2}
    assert whole.sampled(2000) is whole


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_of_the_judged_part_reach_no_input(prepared, sample_folder, tmp_path, part):
    """All ratings from the part on are permuted: what is asked is the same to the last bit, only the answer is not."""
    parts = ["test"] if part == "test" else ["validation", "test"]
    lines = np.concatenate([read_columns(prepared, name, ["row"])["row"] for name in parts])
    permuted = _with_permuted_ratings(sample_folder, tmp_path, lines)
    before, after = (Requests.of(data, part, 500) for data in (prepared, permuted))
    for side in ("users", "items"):
        for name, values in getattr(before, side).items():
            np.testing.assert_array_equal(getattr(after, side)[name], values, err_msg=name)
    for name in ("groups", "training_rows", "recent_rows", "unseen", "user_lines", "item_lines"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    changed = [set(a) != set(b) for a, b in zip(after.positives, before.positives, strict=True)]
    assert np.mean(changed) > 0.3


def _with_permuted_ratings(folder, tmp_path, lines):
    """The data of a folder, prepared with the ratings of some lines of its ratings.dat permuted among them."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = [line.split("::") for line in (folder / "ratings.dat").read_text().splitlines()]
    given = [table[line][2] for line in lines]
    for line, rating in zip(lines, np.random.default_rng(0).permutation(given), strict=True):
        table[line][2] = str(rating)
    (tmp_path / "ratings.dat").write_text("".join("::".join(line) + "\n" for line in table))
    options = DataOptions(data_path=tmp_path, prepared_dir=tmp_path / "prepared")
    return prepare(ADAPTER, options, lambda _: None)


def test_with_permuted_labels_the_items_state_tells_nothing_of_later_positives(sample_folder, tmp_path, rows):
    """Of the items that a user rates later, the positives have no other mean label than the rest."""
    every = np.arange(sum(len(part["row"]) for part in rows.values()))
    data = _with_permuted_ratings(sample_folder, tmp_path, every)
    found = Requests.of(data, "test", 10_000)
    test = read_columns(data, "test", _NAMES)
    numbers = np.unique(np.concatenate([read_columns(data, p, ["item_group"])["item_group"] for p in rows]))
    mean = found.items["item_mean_rating"]
    pairs = []
    for place, user in enumerate(found.groups):
        rated = np.setdiff1d(np.searchsorted(numbers, test["item_group"][test["group"] == user]), found.left_out[place])
        liked = np.isin(rated, found.positives[place])
        better = mean[rated[liked]][:, None] - mean[rated[~liked]][None]
        pairs.append(((better > 0) + 0.5 * (better == 0)).reshape(-1))
    assert np.concatenate(pairs).mean() == pytest.approx(0.5, abs=0.05)


def test_unlabelled_rows_are_no_popularity_no_positives_and_not_left_out():
    rows = module._Rows(
        group=np.array([1, 1, 2]),
        item_group=np.array([4, 5, 4]),
        timestamp=np.array([1, 2, 3]),
        label=np.array([1, -1, 0]),
        row=np.arange(3),
        request=None,
    )
    kept = rows.keep(rows.labelled)
    assert kept.per_item(np.array([4, 5])).tolist() == [2, 0]
    assert [found.tolist() for found in module._items_of(np.array([1, 2, 3]), np.array([4, 5]), kept)] == [[0], [0], []]


def test_positives_of_a_request_are_those_from_its_time_on():
    rows = module._Rows(
        group=np.array([1, 1, 1]),
        item_group=np.array([7, 8, 9]),
        timestamp=np.array([10, 20, 30]),
        label=np.ones(3),
        row=np.arange(3),
        request=np.array([0, 1, 2]),
    )
    first = module._first_moments(rows, by_user=False, count=10)
    found = module._items_of(rows.group[first], np.array([7, 8, 9]), rows, rows.timestamp[first])
    assert sorted(map(len, found)) == [1, 2, 3]
    assert module._first_moments(rows, by_user=True, count=10).tolist() == [0]


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("by_user", [False, True])
def test_items_that_a_user_meets_again_are_left_out_though_they_are_liked_again(requests_data, part, by_user):  # noqa: F811
    """Row by row, on data where users have met an item in the training part that they like later."""
    names = [*_NAMES, "request"]
    found = {name: read_columns(requests_data, name, names) for name in ("train", "validation", "test")}
    before = ("train", "validation")[: 1 if part == "validation" else 2]
    items = sorted({item for name in (*before, part) for item in found[name]["item_group"].tolist()})
    rows = {name: list(zip(*(found[name][key].tolist() for key in names), strict=True)) for name in found}
    firsts = {}
    for user, _, time, _, line, request in sorted(rows[part], key=lambda row: row[2]):
        firsts.setdefault(user if by_user else request, (user, time, line))
    made = Requests.of(requests_data, part, 10_000, by_user)
    assert made.count == len(firsts)
    again = unlabelled = 0
    for place, (user, time, _) in enumerate(firsts[key] for key in sorted(firsts)):
        trained = {item for who, item, _, label, *_ in rows["train"] if who == user and label != UNLABELLED}
        shown = {item for who, item, _, label, *_ in rows["train"] if who == user and label == UNLABELLED}
        liked = {item for who, item, at, label, *_ in rows[part] if who == user and label == 1 and at >= time}
        again += bool(liked & trained)
        assert made.groups[place] == user
        assert [items[index] for index in made.left_out[place]] == sorted(trained)
        assert [items[index] for index in made.positives[place]] == sorted(liked - trained)
        unlabelled += bool(shown - trained)
    assert again > 1
    assert unlabelled > 1, "what was shown without a label is not left out"
