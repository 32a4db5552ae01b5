import ibis
import numpy as np
import pytest

from preprocess.engines import EngineOptions
from preprocess.engines.duckdb import DuckDBEngine
from preprocess.hashing import RANGE, with_bucket, with_hash
from prerank import hashed_ids

MASK = RANGE - 1


@pytest.fixture
def engine(tmp_path):
    with DuckDBEngine(EngineOptions(tmp_path)) as engine:
        yield engine


def hashes(columns, salt=1):
    with_rows = ibis.memtable(dict(columns, place=np.arange(len(next(iter(columns.values()))))))
    table = with_hash(with_rows, "h", list(columns), salt).order_by("place").to_pyarrow()
    return table["h"].to_numpy()


def by_hand(keys, salt):
    found = salt * 0x9E3779B1 & MASK
    for key in keys:
        for word in (key & MASK, key >> 32 & MASK):
            found = (found ^ word) * 0x7FEB352D & MASK
            found ^= found >> 15
    for multiplier in (0x7FEB352D, 0x45D9F3B5):
        found = found * multiplier & MASK
        found ^= found >> 16
    return found


def test_equals_the_formula_in_python():
    users = [-1, 0, 1, 2, 6040, 2**31, 2**40 + 3, 2**63 - 1, -(2**63)]
    times = [978300760 + place for place in range(len(users))]
    expected = [by_hand(keys, 5) for keys in zip(users, times, strict=True)]
    assert hashes({"user": users, "time": times}, salt=5).tolist() == expected


def test_is_uniform_on_consecutive_keys_and_differs_with_the_salt():
    keys = {"user": np.repeat(np.arange(300), 300), "item": np.tile(np.arange(300), 300)}
    first, second = hashes(keys, 1), hashes(keys, 2)
    for found in (first, second, first >> 16, first ^ second):
        counts = np.bincount(found % 100, minlength=100)
        assert ((counts - 900) ** 2 / 900).sum() < 160  # chi-square with 99 degrees of freedom, p about 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert len(np.unique(first)) > 0.9999 * len(first)


def test_each_bit_of_the_key_flips_half_of_the_bits():
    keys = np.arange(1000, 3000)
    original = hashes({"key": keys})
    for bit in (0, 1, 7, 15, 31, 32, 40, 62):
        changed = original ^ hashes({"key": keys ^ (1 << bit)})
        flipped = np.array([(changed >> place & 1).mean() for place in range(32)])
        assert (abs(flipped - 0.5) < 0.06).all(), bit


def test_strings_are_hashed_by_their_md5_sum():
    import hashlib

    words = ["B00005N7P0", "", "é", "B00005N7P1"]
    numbers = [int(hashlib.md5(word.encode()).hexdigest()[:15], 16) for word in words]
    assert hashes({"item": words}, 3).tolist() == [by_hand([number], 3) for number in numbers]


def test_buckets_are_those_of_python():
    ids = [-1, -2, 0, 1, 2, 6040, -(2**40) - 3, 2**63 - 1, -(2**63)]
    texts = ["", "a", "B000AB12CD", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{GRINNING FACE}x", "long" * 40, "ab"]
    words = [sum(ord(letter) * factor for letter, factor in zip(text, hashed_ids.COEFFICIENTS)) for text in texts]  # noqa: B905
    for values, expected in ((ids, ids), (texts, words)):
        table = with_bucket(ibis.memtable({"place": range(len(values)), "id": values}), "bucket", "id", 1000)
        found = table.order_by("place").to_pyarrow()["bucket"].to_pylist()
        assert found == [hashed_ids.hashed(word) % 1000 for word in expected]
        assert found == [by_hand([word], hashed_ids.SALT) % 1000 for word in expected]
    nothing = with_bucket(ibis.memtable({"id": [None, 3]}).cast({"id": "int64"}), "bucket", "id", 7).to_pyarrow()
    assert nothing["bucket"].null_count == 1


def test_buckets_are_filled_evenly():
    counts = np.bincount(hashed_ids.hashed(np.arange(100_000)) % 100, minlength=100)
    assert counts.min() > 850
    assert counts.max() < 1150
