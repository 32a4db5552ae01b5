"""Batches of requests, with candidates, against the prepared rows, one by one."""

from types import SimpleNamespace

import numpy as np
import pytest
from request_data import requests_data  # noqa: F401

from prerank.errors import InputError
from training import objective_setup
from training.assembly import BatchAssembly
from training.batches import Batches, read_columns
from training.config import parse
from training.dataset import Share
from training.objective_setup import prepared_training
from training.row_keys import RowKeys

FLAGS = ["--model_name", "dssm", "--batch_size", "64", "--oov_rate", "0"]


def config(*argv):
    return parse([*FLAGS, *argv], program="train.py", description="Train.")


def epoch(data, *argv, number=0):
    """The batches of an epoch as (packed rows, what is put together), and the keys of the rows."""
    batches, _ = prepared_training(config(*argv), data)
    found = []
    for step, (integers, floats) in enumerate(batches.epoch(number)):
        rows = integers.copy(), floats.copy()
        found.append((rows, batches.assembly(rows, (0, number, step, 0))))
    assert len(found) == len(batches)
    return found


def test_columns_of_the_rows_are_given_and_what_is_missing_is_not_a_label(requests_data):  # noqa: F811
    spec = requests_data.spec
    stored = read_columns(requests_data, "train", [spec.label, "weight", "stage", "teacher"])
    for (integers, _), found in epoch(requests_data):
        places = integers[:, -1]
        labels = stored[spec.label][places]
        np.testing.assert_array_equal(found.labels, np.where(labels < 0, np.nan, labels))
        np.testing.assert_array_equal(found.weights, stored["weight"][places])
        np.testing.assert_array_equal(found.stages, stored["stage"][places])
        np.testing.assert_array_equal(found.teacher, stored["teacher"][places].astype(np.float32))
        assert found.lists.shape == (0, 0)


def members(found):
    return [[int(place) for place in row if place >= 0] for row in found.lists]


@pytest.mark.parametrize("by", ["request", "user"])
def test_lists_are_whole(requests_data, by):  # noqa: F811
    keys = RowKeys.read(requests_data)
    ids = keys.requests if by == "request" else keys.users
    seen = []
    for (integers, _), found in epoch(requests_data, "--list_by", by, "--list_size", "1000"):
        places = integers[:, -1]
        for row in members(found):
            owners = set(ids[places[row]])
            assert len(owners) == 1
            assert len(row) == (ids == owners.pop()).sum()
            seen += places[row].tolist()
    assert sorted(seen) == list(range(requests_data.rows("train")))


def test_a_long_list_is_cut_to_its_positives_and_a_choice_of_others(requests_data):  # noqa: F811
    keys = RowKeys.read(requests_data)

    def lists(number):
        found = {}
        for (integers, _), made in epoch(requests_data, "--list_by", "user", "--list_size", "9", number=number):
            for row in members(made):
                found[int(keys.users[integers[row[0], -1]])] = set(integers[row, -1].tolist())
        return found

    first, again, second = lists(0), lists(0), lists(1)
    assert first == again
    assert first != second
    assert first.keys() == set(keys.users.tolist())
    for user, rows in first.items():
        whole = np.flatnonzero(keys.users == user)
        assert len(rows) == min(9, len(whole))
        positives = set(whole[keys.labels[whole] == 1].tolist())
        assert positives <= rows if len(positives) <= 9 else rows <= positives


@pytest.mark.parametrize("origin", ["catalogue", "popularity", "batch", "request"])
@pytest.mark.parametrize("by", [None, "request"])
def test_candidates_follow_the_rows_and_hits_are_masked(requests_data, origin, by):  # noqa: F811
    keys = RowKeys.read(requests_data)
    item_id = requests_data.spec.item_id
    first = {item: keys.times[keys.items == item].min() for item in set(keys.items.tolist())}
    number_of = {}  # the item's number by the index of its id, as no id is masked here
    for index, item in zip(read_columns(requests_data, "train", [item_id])[item_id], keys.items, strict=True):
        number_of[int(index)] = int(item)
    flags = ["--candidates_per_row", "3", "--candidates_from", origin, *(["--list_by", by] if by else [])]
    batches, _ = prepared_training(config(*flags), requests_data)
    kept_ones = 0
    for (integers, floats), found in epoch(requests_data, *flags):
        places, rows = integers[:, -1], len(integers)
        assert found.users.tolist() == [*range(rows), *np.repeat(range(rows), 3)]
        assert found.items[:rows].tolist() == list(range(rows))
        own = batches.layout.fields(integers, floats)[item_id]
        drawn = batches.assembly.item_layout.fields(found.integers, found.floats)[item_id]
        items = np.concatenate([own, drawn])[found.items]
        listed = {pair for row in members(found) for pair in row}
        assert np.isnan(found.labels[rows:]).all()
        for pair in range(rows, 4 * rows):
            row = places[found.users[pair]]
            item = number_of[int(items[pair])]
            liked = (keys.users == keys.users[row]) & (keys.labels == 1) & (keys.times <= keys.times[row])
            hit = item == keys.items[row] or item in keys.items[liked]
            kept = found.weights[pair] > 0
            kept_ones += kept
            assert kept == (pair in listed)
            assert not (kept and hit)
            if kept:
                assert first[item] <= keys.times[row]
                assert found.weights[pair] == keys.weights[row]
    assert kept_ones > 100


@pytest.mark.parametrize("origin", ["catalogue", "popularity", "batch", "request"])
def test_means_of_candidates_know_the_labels_before_the_row_and_no_others(requests_data, origin):  # noqa: F811
    spec = requests_data.spec
    parts = [
        read_columns(requests_data, part, [spec.label, "item_group", "timestamp", spec.item_id])
        for part in ("train", "validation", "test")
    ]
    labels, items, times, ids = (np.concatenate([part[name] for part in parts]) for name in parts[0])
    prior = parts[0][spec.label][parts[0][spec.label] >= 0].mean()
    flags = ["--candidates_per_row", "2", "--candidates_from", origin]
    batches, _ = prepared_training(config(*flags), requests_data)
    integers, floats = next(iter(batches.epoch(0)))
    found = batches.assembly((integers, floats), (0, 0, 0, 0))
    own = batches.layout.fields(integers, floats)
    drawn = batches.assembly.item_layout.fields(found.integers, found.floats)
    field, rows, checked = spec[spec.item_mean], len(integers), 0
    of_pairs = {name: np.concatenate([own[name], drawn[name]])[found.items] for name in (spec.item_id, field.name)}
    for pair in np.flatnonzero(found.weights > 0):
        time = parts[0]["timestamp"][integers[found.users[pair], -1]]
        before = labels[(ids == of_pairs[spec.item_id][pair]) & (times < time) & (labels >= 0)]
        wanted = (before.sum() + 5 * prior) / (len(before) + 5)
        assert of_pairs[field.name][pair] * field.scale + field.mean == pytest.approx(wanted, abs=1e-5)
        checked += pair >= rows
    assert checked > 10


def test_by_popularity_all_items_have_their_share_of_the_earlier_rows(requests_data):  # noqa: F811
    columns = read_columns(requests_data, "train", ["timestamp", "what"])
    flags = ["--candidates_per_row", "2", "--candidates_from", "popularity"]
    batches, _ = prepared_training(config(*flags), requests_data)
    integers, floats = next(iter(batches.epoch(0)))
    found = batches.assembly((integers, floats), (0, 0, 0, 0))
    drawn = batches.assembly.item_layout.fields(found.integers, found.floats)["what"]
    items = np.concatenate([batches.layout.fields(integers, floats)["what"], drawn])
    pairs, rows = np.flatnonzero(found.weights > 0), len(integers)
    assert (pairs < rows).sum() == rows
    assert (pairs >= rows).sum() > 10
    for pair in pairs:
        earlier = columns["timestamp"] < columns["timestamp"][integers[found.users[pair], -1]]
        item = items[found.items[pair]]
        wanted = max((columns["what"][earlier] == item).sum(), 1) / max(earlier.sum(), 1)
        assert found.log_q[found.items[pair]] == pytest.approx(np.log(wanted), rel=1e-5, abs=1e-6)


def test_slices_of_replicas_cut_no_list(requests_data):  # noqa: F811
    batches, _ = prepared_training(config("--list_by", "request"), requests_data)
    requests = RowKeys.read(requests_data).requests
    for integers, floats in batches.epoch(0):
        bounds = batches.assembly.bounds((integers, floats), Share(range(3), 3))
        assert [row for span in bounds for row in range(*span)] == list(range(len(integers)))
        owners = [set(requests[integers[start:stop, -1]].tolist()) for start, stop in bounds]
        assert sum(map(len, owners)) == len(set.union(*owners))


def test_slices_of_replicas_know_their_share_of_the_labels(requests_data):  # noqa: F811
    batches, _ = prepared_training(config("--list_by", "request"), requests_data)
    keys = RowKeys.read(requests_data)
    counted = np.where(np.isnan(keys.labels), 0, keys.weights)
    given = iter(batches.dataset(0, None, Share(range(3), 3)))
    for integers, floats in batches.epoch(0):
        places, shares = integers[:, -1], []
        for start, stop in batches.assembly.bounds((integers, floats), Share(range(3), 3)):
            part = next(given)
            assert float(part.share) == pytest.approx((stop - start) / len(places))
            shares.append(float(part.labelled_share))
            assert shares[-1] == pytest.approx(counted[places[start:stop]].sum() / counted[places].sum())
        assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("origin", ["catalogue", "batch", "request"])
def test_a_teacher_sees_ids_of_candidates_and_their_rows_unmasked(requests_data, origin, monkeypatch):  # noqa: F811
    spec, keys, asked = requests_data.spec, RowKeys.read(requests_data), []

    class Listener:
        def of_training_rows(self):
            return np.zeros(len(keys.labels), np.float32)

        def score(self, features, users, items):
            asked.append((features[spec.user_id][users], features[spec.item_id][items]))
            return np.arange(len(users), dtype=np.float32)

    monkeypatch.setattr(objective_setup.Teacher, "open", lambda *_: Listener())
    flags = ["--candidates_per_row", "2", "--candidates_from", origin, "--oov_rate", "0.5"]
    batches, _ = prepared_training(config(*flags, "--teacher", "run", "--teacher_on", "both"), requests_data)
    stored = read_columns(requests_data, "train", [spec.user_id, spec.item_id])
    known = set(stored[spec.item_id].tolist())
    masked = []
    for step, rows in enumerate(batches.epoch(0)):
        found, places = batches.assembly(rows, (0, 0, step, 0)), rows[0][:, -1]
        users, items = asked[-1]
        np.testing.assert_array_equal(users, stored[spec.user_id][np.repeat(places, 2)])
        assert set(items.tolist()) <= known
        assert len(found.teacher) == 3 * len(places)
        own = batches.layout.fields(*rows)
        drawn = batches.assembly.item_layout.fields(found.integers, found.floats)
        masked += [own[spec.user_id] <= 1, drawn[spec.item_id] <= 1]
    assert np.concatenate(masked).mean() > 0.3
    batch = next(iter(batches.dataset(0)))
    assert batch.features[spec.user_id].shape[0] < batch.features[spec.item_id].shape[0]


def test_the_same_epoch_gives_the_same_candidates_and_another_does_not(requests_data):  # noqa: F811
    def drawn(number):
        return [
            found.integers.tolist() for _, found in epoch(requests_data, "--candidates_per_row", "2", number=number)
        ]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_drawn_items_are_masked_as_often_as_rows_are(prepared):
    batches, _ = prepared_training(config("--candidates_per_row", "2", "--oov_rate", "0.3"), prepared)
    rows = next(iter(batches.epoch(0)))
    found = batches.assembly(rows, (0, 0, 0, 0))
    item_id = batches.assembly.item_layout.fields(found.integers, found.floats)["movie_id"]
    assert np.mean(item_id <= 1) == pytest.approx(0.36, abs=0.15)


def test_without_options_batches_are_plain(prepared):
    batches, objective = prepared_training(config(), prepared)
    assert type(batches) is Batches
    assert batches.assembly is None
    assert objective is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--list_by", "request"], "--list_by request: the movielens_generated data have no request column"),
        (["--candidates_per_row", "1", "--candidates_from", "request"], "--candidates_from request: .* no request"),
        (["--teacher", "data"], "--teacher data: .* have no teacher column"),
        (["--list_by", "user", "--loss", "full_stage"], "--loss full_stage: .* have no stage column"),
        (["--candidates_per_row", "1", "--jit"], "--jit cannot compile candidates"),
        (["--candidates_per_row", "1", "--model_name", "gbdt"], "gbdt is not trained by gradient steps"),
        (["--model_name", "gbdt", "--select_by", "cascade_recall@5"], "--select_by cascade_recall@5: .*gbdt is not"),
    ],
)
def test_what_an_option_needs(prepared, argv, message):
    with pytest.raises(InputError, match=message):
        prepared_training(config(*argv), prepared)


def test_a_candidate_is_known_where_it_is_a_positive_of_its_own_rows_list():
    """Of lists 0 and 1 with the items 0 to 4; what another list likes, or this one does not, is no hit."""
    keys = SimpleNamespace(items=np.array([3, 1, 4, 0, 2, 1]), labels=np.array([1, 0, 1, 1, 0, np.nan]))
    lists, places = np.array([0, 0, 0, 1, 1, 1]), np.arange(6)
    likes = {0: {3, 4}, 1: {0}}
    owner, items = np.repeat([0, 2, 3, 5], 5), np.tile(np.arange(5), 4)
    found = BatchAssembly._in_list(SimpleNamespace(_keys=keys), lists, places, owner, items)
    assert found.tolist() == [
        item in likes[lists[row]] for row, item in zip(owner.tolist(), items.tolist(), strict=True)
    ]
    # the rows of a batch are anywhere in the part
    order = np.array([5, 3, 0, 2, 4, 1])
    found = BatchAssembly._in_list(SimpleNamespace(_keys=keys), lists[order], order, owner, items)
    assert found.tolist() == [
        item in likes[lists[order][row]] for row, item in zip(owner.tolist(), items.tolist(), strict=True)
    ]
