"""Where ids lie, against a dictionary."""

import numpy as np
import pytest

from prerank import lookup
from prerank.index import ItemStates
from prerank.lookup import TextLookup, lookup_of
from prerank.snapshot import Snapshot

SMALLEST, LARGEST = -(2**63), 2**63 - 1


def _crowded(count):
    """Integers that share one slot in both tables of a look-up of `count` ids."""
    made = np.random.default_rng(0).integers(SMALLEST, LARGEST, 2_000_000)
    for multiplier, rows in zip(lookup._MULTIPLIERS, (count, count - 1), strict=True):
        bits = np.uint64(64 - (lookup._SLOTS * rows).bit_length())
        slots = made.view(np.uint64) * np.uint64(multiplier) >> bits
        made = made[slots == slots[0]]
    assert len(made) >= count
    return made[:count]


RANDOM = np.random.default_rng(7)
INTEGERS = {
    "none": np.array([], np.int64),
    "one": np.array([5]),
    "in a row": np.arange(5000) - 2500,
    "spread": np.unique(RANDOM.integers(SMALLEST, LARGEST, 5000)),
    "far apart": np.arange(-2000, 2000) << 50,
    "the ends": np.array([SMALLEST, LARGEST, -1, 0, 1]),
    "of one slot": _crowded(30),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    ids = RANDOM.permutation(INTEGERS[name])
    place = {key: row for row, key in enumerate(ids.tolist())}
    near = np.concatenate([ids + 1, ids - 1, ids >> 1, RANDOM.integers(SMALLEST, LARGEST, 100)])
    wanted = RANDOM.permutation(np.concatenate([ids, ids, near, [SMALLEST, LARGEST, 0, -1]]))
    found = lookup_of(ids).positions(wanted)
    assert found.dtype == np.int64
    assert found.tolist() == [place.get(key, -1) for key in wanted.tolist()]
    assert lookup_of(ids).positions(wanted[:0]).tolist() == []


TEXTS = ["", "a", "b", "ab", "a b", " a", "é", "e\u0301", "商品", "🙂", "a" * 300, *map(str, range(3000))]


@pytest.mark.parametrize("hashed", [hash, len, lambda text: 0], ids=["its hash", "length", "one for all"])
def test_texts_whatever_their_hash(hashed):
    texts = TEXTS[:300] if hashed is not hash else TEXTS
    ids = np.array(RANDOM.permutation(texts))
    place = {key: row for row, key in enumerate(ids.tolist())}
    wanted = [*texts, *texts[::-1], "c", "a\0", "\0", "A", "a" * 299, "a" * 100_000, "-1"]
    found = TextLookup(ids, hashed).positions(np.array(wanted, object))
    assert found.tolist() == [place.get(key, -1) for key in wanted]
    assert TextLookup(ids, hashed).positions(ids).tolist() == list(range(len(ids)))
    assert TextLookup(ids[:0], hashed).positions(ids[:3]).tolist() == [-1, -1, -1]
    assert lookup_of(ids).positions(np.array([], object)).tolist() == []


def test_a_snapshot_gives_and_finds_ids_of_either_type():
    for ids, dtype in ((["b", "a", "c"], object), ([5, 3, 4], np.int64)):
        stored = np.array(ids)
        snapshot = Snapshot("", (0, 0), ItemStates(stored, {}, "float32"), lookup_of(stored))
        assert snapshot.ids(np.array([2, 0])).tolist() == [ids[2], ids[0]]
        assert snapshot.ids(np.array([2, 0])).dtype == dtype
        assert snapshot.positions(np.array([ids[1], ids[2]], dtype)).tolist() == [1, 2]
