"""Sampled negatives: how many, of which items, and where they go."""

import collections

import ibis
import pyarrow as pa
import pytest
from support_specs import SHOP
from taobao_files import make, without_log
from test_hashing import by_hand

from preprocess import negatives
from preprocess.names import LABEL, ROW, TIMESTAMP
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER

NUMBER = 3


@pytest.fixture(scope="module")
def clicks():
    """Impressions that were all clicked."""
    data = without_log(make())
    return type(data)([row for row in data.rows if row[4]], data.ads, data.users)


@pytest.fixture(scope="module")
def found(clicks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("negatives")
    clicks.write(folder / "raw")
    options = DataOptions(data_path=folder / "raw", prepared_dir=folder / "out", negatives=NUMBER, leak=("encoders",))
    return prepare(ADAPTER, options, lambda line: None)


def test_each_positive_gets_other_items_alive_at_its_time(clicks, found, samples):
    first, own = {}, collections.defaultdict(set)
    for user, time, ad, *_ in clicks.rows:
        first[ad] = min(time, first.get(ad, time))
        own[user].add(ad)
    rows = samples(found)
    of_positive = collections.defaultdict(list)
    for number, sample in rows.items():
        place, rank = divmod(number, NUMBER + 1)
        user, time, ad, pid, _ = clicks.rows[place]
        positive = rows[place * (NUMBER + 1)]
        assert (sample["userid"], sample["timestamp"], sample["pid"]) == (user, time, pid)
        assert sample["part"] == positive["part"]
        assert sample["hist_adgroup_id"] == positive["hist_adgroup_id"]
        assert sample["label"] == (rank == 0)
        if rank == 0:
            assert sample["adgroup_id"] == ad
        else:
            assert sample["adgroup_id"] not in own[user]
            assert first[sample["adgroup_id"]] <= time
            of_positive[place].append(sample["adgroup_id"])
    for place, (user, time, *_) in enumerate(clicks.rows):
        drawn, possible = of_positive[place], [ad for ad in first if first[ad] <= time and ad not in own[user]]
        assert len(drawn) == len(set(drawn))
        assert len(drawn) == NUMBER or len(possible) < 2 * NUMBER
    assert sum(map(len, of_positive.values())) > 0.95 * NUMBER * len(clicks.rows)


def test_they_are_spread_over_the_items(found, samples):
    drawn = collections.Counter(row["adgroup_id"] for row in samples(found).values() if not row["label"])
    assert len(drawn) > 35
    assert max(drawn.values()) < 3 * sum(drawn.values()) / len(drawn)


@pytest.mark.slow
def test_the_order_of_lines_does_not_matter(clicks, found, samples, tmp_path):
    backwards = type(clicks)(clicks.rows[::-1], clicks.ads, clicks.users)
    options = DataOptions(
        data_path=backwards.write(tmp_path / "raw"), prepared_dir=tmp_path / "out", negatives=NUMBER, leak=("encoders",)
    )
    names = ("userid", "timestamp", "adgroup_id", "label", "part")
    keys = [
        sorted(tuple(row[name] for name in names) for row in samples(prepared).values())
        for prepared in (found, prepare(ADAPTER, options, lambda line: None))
    ]
    assert keys[0] == keys[1]


def test_no_item_that_the_user_has_a_row_with_is_drawn_whatever_its_label(engine):
    """User 0 has all items but 8 and 9, most of them as negatives; user 1 has met them all by then."""
    rows = [(0, item, 5, 0) for item in range(7)] + [(0, 7, 50, 1)] + [(1, item, 6, 0) for item in range(10)]
    table = pa.Table.from_pylist(
        [dict(zip(("reader", "book", TIMESTAMP, LABEL), row, strict=True)) | {ROW: n} for n, row in enumerate(rows)]
    )
    found = engine.table(negatives.with_negatives(engine, ibis.memtable(table), SHOP, 4)).to_pylist()
    kept = sorted(
        (row["reader"], row["book"], row[TIMESTAMP], row[LABEL], row[ROW] // 5) for row in found if row[ROW] % 5 == 0
    )
    assert kept == sorted((*row, n) for n, row in enumerate(rows))
    drawn = [row for row in found if row[ROW] % 5]
    assert {(row["reader"], row["book"], row[TIMESTAMP], row[LABEL]) for row in drawn} == {(0, 8, 50, 0), (0, 9, 50, 0)}
    assert {row[ROW] for row in drawn} == {7 * 5 + 1, 7 * 5 + 2}


def test_the_same_user_and_item_at_another_time_draw_anew(engine):
    alive = ibis.memtable({TIMESTAMP: [1, 2, 3], "_alive": [1000] * 3})
    positives = ibis.memtable([{ROW: n, "reader": 4, "book": 5, TIMESTAMP: n + 1} for n in range(3)])
    found = engine.table(negatives._drawn(positives, alive, SHOP, 20)).to_pylist()
    of_row = collections.defaultdict(dict)
    for row in found:
        of_row[row[ROW]][row["_draw"]] = row["_place"]
    assert [len(draws) for draws in of_row.values()] == [20] * 3
    expected = {n: {draw: by_hand((4, 5, n + 1, draw), 701) % 1000 for draw in range(20)} for n in range(3)}
    assert of_row == expected
    for one in of_row:
        assert len(set(of_row[one].values())) > 15
        for two in of_row:
            same = sum(of_row[one][draw] == of_row[two][draw] for draw in range(20))
            assert same == 20 if one == two else same < 3
