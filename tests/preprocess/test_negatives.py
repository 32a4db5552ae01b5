"""Sampled negatives: how many, of which items, and where they go."""

import collections

import pytest
from taobao_files import make, without_log

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
