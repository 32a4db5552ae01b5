"""The splits, recomputed in plain Python."""

import collections
import dataclasses
import datetime
import itertools

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_specs import SHOP
from test_hashing import by_hand

from preprocess import splits
from preprocess.movielens import ADAPTER
from preprocess.names import PART, REQUEST, ROW, SHUFFLE, TIMESTAMP
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError


def cut(timestamps, name_of_row):
    """Parts of some (row, timestamp) pairs, by the protocol's words."""
    ordered = sorted(timestamps, key=lambda pair: pair[1])
    tenth = len(ordered) // 10
    parts = {row: "train" for row, _ in ordered}
    for name, first in (("validation", len(ordered) - 2 * tenth), ("test", len(ordered) - tenth)):
        if tenth:
            parts |= {row: name for row, timestamp in ordered if timestamp >= ordered[first][1]}
    return parts


def labelled(small):
    return [(row, *values) for row, values in enumerate(small.ratings) if values[2] != 3]


def test_time_takes_the_last_tenths_and_ties_go_to_the_later_part(small, prepared, samples):
    found = {row: sample["part"] for row, sample in samples(prepared()).items()}
    assert found == cut([(row, timestamp) for row, *_, timestamp in labelled(small)], None)


def test_user_time_does_the_same_for_each_user(small, prepared, samples):
    found = {row: sample["part"] for row, sample in samples(prepared(split="user_time")).items()}
    expected = {}
    rows = sorted(labelled(small), key=lambda row: row[1])
    for _, group in itertools.groupby(rows, key=lambda row: row[1]):
        expected |= cut([(row, timestamp) for row, *_, timestamp in group], None)
    assert found == expected
    assert len(set(expected.values())) == 3


@pytest.mark.parametrize(
    ("options", "shares"), [({"split": "random"}, (0.8, 0.1, 0.1)), ({"protocol": "reference"}, (0.64, 0.16, 0.2))]
)
def test_random_has_the_right_shares_and_the_same_key_the_same_part(small, prepared, samples, options, shares):
    rows = samples(prepared(**options, **({"leak": ("none",)} if "protocol" in options else {})))
    assert rows.keys() == {row for row, *_ in labelled(small)}
    counts = collections.Counter(sample["part"] for sample in rows.values())
    found = [counts[part] / len(rows) for part in ("train", "validation", "test")]
    np.testing.assert_allclose(found, shares, atol=0.05)
    duplicate = len(small.ratings) - 5
    assert rows[0]["part"] == rows[duplicate]["part"]


@pytest.mark.parametrize("options", [{}, {"split": "user_time"}, {"split": "random"}, {"protocol": "reference"}])
def test_the_order_of_lines_does_not_matter(small, prepared, samples, tmp_path, options):
    order = np.random.default_rng(0).permutation(len(small.ratings))
    data_path = small.write_ml_1m(tmp_path / "raw", order)
    shuffled = prepare(
        ADAPTER, DataOptions(data_path=data_path, prepared_dir=tmp_path, **options), report=lambda line: None
    )
    place = {int(old): new for new, old in enumerate(order)}
    before, after = samples(prepared(**options)), samples(shuffled)
    assert {place[row]: sample["part"] for row, sample in before.items()} == {
        row: sample["part"] for row, sample in after.items()
    }
    for row, sample in before.items():
        for name in ("user_mean_rating", "item_mean_rating", "user_id", "genres", "group", "item_group"):
            assert sample[name] == after[place[row]][name]


def test_training_rows_are_shuffled_and_the_others_are_not(prepared, samples):
    rows = samples(prepared())
    for part, ordered in (("train", False), ("validation", True), ("test", True)):
        numbers = [row for row, sample in rows.items() if sample["part"] == part]
        assert (numbers == sorted(numbers)) is ordered
    train = [row for row, sample in rows.items() if sample["part"] == "train"]
    assert abs(np.corrcoef(train, np.arange(len(train)))[0, 1]) < 0.1


def test_a_sample_keeps_whole_users(small, prepared, samples):
    everyone, some = samples(prepared()), samples(prepared(sample_rate=0.5))
    users = {small.ratings[row][0] for row in some}
    assert some.keys() == {row for row in everyone if small.ratings[row][0] in users}
    assert 0.25 < len(users) / 39 < 0.75
    fewer = samples(prepared(sample_rate=0.4))
    assert fewer.keys() < some.keys()


def expected_shares(rows, test, validation):
    """Parts of (row, timestamp) pairs by shares in time order, ties to the later part."""
    ordered = sorted(rows, key=lambda pair: pair[1])
    last = int(len(ordered) * test)
    both = last + int(len(ordered) * validation)
    starts = {name: ordered[len(ordered) - n][1] for name, n in (("test", last), ("validation", both))}
    return {
        row: "test" if time >= starts["test"] else "validation" if time >= starts["validation"] else "train"
        for row, time in rows
    }


def test_shares_can_be_chosen(small, prepared, samples):
    rows = [(row, timestamp) for row, *_, timestamp in labelled(small)]
    found = {row: one["part"] for row, one in samples(prepared(test_share=0.25, validation_share=0.05)).items()}
    assert found == expected_shares(rows, 0.25, 0.05)
    found = {row: one["part"] for row, one in samples(prepared(validation_share=0.3)).items()}
    assert found == expected_shares(rows, 0.1, 0.3)
    counts = collections.Counter(
        one["part"] for one in samples(prepared(split="random", test_share=0.3, validation_share=0.2)).values()
    )
    shares = [counts[part] / len(rows) for part in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, (0.5, 0.2, 0.3), atol=0.05)


def test_the_default_shares_are_the_same_split_under_another_name(small, prepared, samples):
    plain, asked = samples(prepared()), samples(prepared(test_share=0.1, validation_share=0.1))
    assert {row: one["part"] for row, one in plain.items()} == {row: one["part"] for row, one in asked.items()}


def test_a_day_can_begin_the_test_part(small, tmp_path, samples):
    """The data's seconds as days, so that they span weeks."""
    by_day = type(small)([(*row[:3], row[3] * 86_400) for row in small.ratings], small.users, small.movies)
    rows = [(row, timestamp) for row, *_, timestamp in labelled(by_day)]
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=1100)
    options = {"data_path": by_day.write_ml_1m(tmp_path / "raw"), "prepared_dir": tmp_path / "out"}
    made = prepare(ADAPTER, DataOptions(test_from=day.isoformat(), **options), lambda _: None)
    found = {row: one["part"] for row, one in samples(made).items()}
    before = sorted(time for _, time in rows if time < 1100 * 86_400)
    cut = before[len(before) - len(before) // 10]
    assert found == {
        row: "test" if time >= 1100 * 86_400 else "validation" if time >= cut else "train" for row, time in rows
    }
    assert len(set(found.values())) == 3
    with pytest.raises(InputError, match="--test_from 1970-01-02: there are too few rows before that day"):
        prepare(ADAPTER, DataOptions(test_from="1970-01-02", **options), lambda _: None)


def test_too_few_rows_for_three_parts(small, tmp_path):
    data_path = small.write_ml_1m(tmp_path / "raw", order=range(12))
    with pytest.raises(InputError, match="too few rows for --split time.* test 0"):
        prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=tmp_path / "out", sample_rate=0.3))
    assert not (tmp_path / "out").exists()


def _order(engine, rows, spec=SHOP):
    names = ["reader", "book", TIMESTAMP, *([REQUEST] if len(rows[0]) > 3 else [])]
    table = ibis.memtable([dict(zip(names, row, strict=True)) | {ROW: n} for n, row in enumerate(rows)])
    return engine.table(splits.with_order(table, spec).order_by(ROW))[SHUFFLE].to_pylist()


def test_the_place_in_the_training_part_goes_by_user_item_and_time(engine):
    first, *others, again = _order(engine, [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (2, 1, 3), (1, 2, 3)])
    assert first == again == by_hand((1, 2, 3), 401)
    assert len({first, *others}) == 5


def test_the_rows_of_a_request_stay_together(engine):
    spec = dataclasses.replace(SHOP, row_columns=("request",))
    first, second, third = _order(engine, [(1, 2, 3, 8), (1, 5, 4, 8), (1, 2, 3, 9)], spec)
    assert first == second != third


@pytest.mark.parametrize("offset", [-7, 0, 8])
def test_days_before_1970_are_days_too(engine, offset):
    seconds = [
        0,
        -1,
        1,
        86_399,
        86_400,
        -86_400,
        -86_401,
        -1_000_000_007,
        1_494_000_000,
        -offset * 3600,
        -offset * 3600 - 1,
    ]
    table = ibis.memtable({"place": range(len(seconds)), "at": seconds})
    found = engine.table(table.mutate(day=splits._day(table["at"], offset)).order_by("place"))["day"].to_pylist()
    zone = datetime.timezone(datetime.timedelta(hours=offset))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    dates = [(epoch + datetime.timedelta(seconds=second)).astimezone(zone).date() for second in seconds]
    assert found == [(date - datetime.date(1970, 1, 1)).days for date in dates]


@settings(max_examples=25, deadline=None)
@given(
    moments=st.lists(st.tuples(st.integers(0, 3), st.integers(-4, 12)), min_size=1, max_size=60),
    split=st.sampled_from(["time", "user_time", "random"]),
)
def test_any_split_gives_each_row_one_part_by_the_words_of_the_protocol(engine, moments, split):
    rows = [{"reader": user, "book": n % 3, TIMESTAMP: time, ROW: n} for n, (user, time) in enumerate(moments)]
    options = DataOptions(split=split).resolved()
    table = splits.with_order(ibis.memtable(pa.Table.from_pylist(rows)), SHOP)
    found = engine.table(splits.with_part(engine, table, SHOP, options).order_by(ROW)).to_pylist()
    assert [row[ROW] for row in found] == list(range(len(rows)))
    parts = {row[ROW]: splits.PARTS[row[PART]] for row in found}
    if split == "random":
        keys = {}
        for row in found:
            keys.setdefault((row["reader"], row["book"], row[TIMESTAMP]), set()).add(row[PART])
        assert all(len(of_key) == 1 for of_key in keys.values())
        first = [by_hand([row[SHUFFLE]], 1) % 10 for row in found]
        assert [row[PART] for row in found] == [
            {9: splits.TEST, 8: splits.VALIDATION}.get(n, splits.TRAIN) for n in first
        ]
        return
    expected = {}
    for user in {None} if split == "time" else {user for user, _ in moments}:
        expected |= cut([(n, time) for n, (of, time) in enumerate(moments) if user in (None, of)], None)
    assert parts == expected


def test_the_random_split_of_the_public_code_takes_two_fifths_in_turn(engine):
    """A fifth for test, by one hash, and of the rest a fifth for validation, by another."""
    table = ibis.memtable({"reader": range(400), "book": [5] * 400, TIMESTAMP: [7] * 400, ROW: range(400)})
    options = DataOptions(protocol="reference").resolved()
    found = engine.table(splits.with_part(engine, splits.with_order(table, SHOP), SHOP, options).order_by(ROW))
    expected = []
    for shuffle in found[SHUFFLE].to_pylist():
        tested, validated = by_hand([shuffle], 1) % 5 == 4, by_hand([shuffle], 2) % 5 == 4
        expected.append("test" if tested else "validation" if validated else "train")
    assert [splits.PARTS[part] for part in found[PART].to_pylist()] == expected
    assert {name: expected.count(name) for name in splits.PARTS} == pytest.approx(
        {"train": 256, "validation": 64, "test": 80}, abs=30
    )


@pytest.mark.parametrize("rate", [0.25, 0.5, 1.0])
def test_a_user_is_sampled_by_the_hash_of_the_id(engine, rate):
    table = ibis.memtable({"reader": [*range(300), *range(300)]})
    found = engine.table(splits.sample_users(table, "reader", rate))["reader"].to_pylist()
    expected = [user for user in range(300) if by_hand([user], 3) < rate * 2**32]
    assert sorted(found) == sorted(expected * 2)
    assert len(expected) == pytest.approx(300 * rate, abs=40)


def _by_days(engine, seconds, offset=8):
    table = ibis.memtable({TIMESTAMP: seconds, ROW: range(len(seconds))})
    options = DataOptions(split="time").resolved()
    found = engine.table(splits.with_part(engine, table, SHOP, options, offset).order_by(ROW))
    return [splits.PARTS[part] for part in found[PART].to_pylist()]


@pytest.mark.parametrize("first", [0, 17_290, -40, -2])
def test_the_last_two_days_of_a_time_zone_are_held_out(engine, first):
    """Whatever their numbers, those before 1970 too; a day begins at midnight there."""
    midnight = first * 86_400 - 8 * 3600
    days = {0: "train", 1: "train", 2: "validation", 3: "test"}
    seconds = [midnight + day * 86_400 + second for day in days for second in (0, 1, 50_000, 86_399)]
    assert _by_days(engine, seconds) == [name for name in days.values() for _ in range(4)]


@pytest.mark.parametrize(("first", "named"), [(17_290, "2017-05-07"), (-40, "1969-11-25")])
def test_a_day_without_a_row_is_named(engine, first, named):
    midnight = first * 86_400 - 8 * 3600
    with pytest.raises(InputError, match=rf"there is no row on {named} \(days of UTC\+8\)"):
        _by_days(engine, [midnight + day * 86_400 for day in (0, 1, 2, 4, 5)])


def test_two_days_are_too_few(engine):
    with pytest.raises(InputError, match=r"at least 3 days \(days of UTC\+8\)\. Received: 1970-01-01, 1970-01-02"):
        _by_days(engine, [0, 86_400])
