"""Which items are the best, and in which order, when scores are equal."""

import numpy as np
import pytest
from artefacts import export_small, users, write_items

from prerank import index
from prerank.artefact import Artefact
from prerank.index import ItemStates
from prerank.order import best_first
from prerank.preranker import PreRanker
from prerank.storage import StoredArray

LOWEST = -np.inf


@pytest.mark.parametrize(
    ("scores", "n", "left_out", "expected"),
    [
        ([0, 0, 0, 0], 2, None, [0, 1]),
        ([1, 3, 2, 3, 3], 2, None, [1, 3]),
        ([1, 3, 2, 3, 3], 4, None, [1, 3, 4, 2]),
        ([1, 3, 2, 3, 3], 2, [1], [3, 4]),
        ([1, 2, 2, 2, 3], 3, None, [4, 1, 2]),
        ([1, 2, 2, 2, 3], 3, [4, 1], [2, 3, 0]),
        ([1, 2, 2, 2, 3], 9, [0], [4, 1, 2, 3]),
        ([1, 2], 9, None, [1, 0]),
        ([1, 2], 1, [0, 1], []),
        ([LOWEST, 1, LOWEST, 2], 3, None, [3, 1, 0]),
        ([LOWEST, 1, LOWEST, 2], 3, [0], [3, 1, 2]),
        ([LOWEST, LOWEST, LOWEST], 2, [0], [1, 2]),
        ([0.0, -0.0, 0.0], 2, None, [0, 1]),
    ],
)
def test_by_hand(scores, n, left_out, expected):
    scores = np.array(scores, np.float32)
    given = scores.copy()
    assert best_first(scores, n, None if left_out is None else np.array(left_out)).tolist() == expected
    assert np.array_equal(scores, given), "the scores are still needed"


def test_against_a_stable_sort_in_plain_python():
    random = np.random.default_rng(0)
    for _ in range(2000):
        size = int(random.integers(1, 40))
        scores = random.integers(-3, 3, size).astype(np.float32)
        left_out = np.flatnonzero(random.random(size) < random.choice([0, 0.2, 0.9]))
        n = int(random.integers(1, size + 3))
        allowed = [place for place in range(size) if place not in set(left_out.tolist())]
        expected = sorted(allowed, key=lambda place: -scores[place])[:n]
        assert best_first(scores, n, left_out).tolist() == expected


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 200_000])
def test_more_equal_scores_than_a_block_holds(size):
    scores = np.zeros(size, np.float32)
    scores[[size - 1, 5]] = 1, -1
    assert best_first(scores, 8).tolist() == [size - 1, 0, 1, 2, 3, 4, 6, 7]
    scores[: size - 3] = -1
    assert best_first(scores, 4).tolist() == [size - 1, size - 3, size - 2, 0]
    assert best_first(scores, size - 1).tolist() == [size - 1, size - 3, size - 2, *range(size - 4)]


@pytest.fixture(scope="module", params=["saved_model", "onnx"])
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    items = write_items(folder / "items.parquet", range(1, 9))
    return export_small("dssm", folder / "out", catalogue=items, export_format=request.param, similarity="dot")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_of_equal_scores_the_first_in_the_index_comes_first(dtype, place, tmp_path):
    model, count = Artefact(place), 10_000
    random = np.random.default_rng(1)
    # A unit vector has one product that is not 0, so that equal items have the same score to the last bit.
    width = model.features["outputs"]["item_tower"]["item_vector"][1]
    vectors = np.eye(width, dtype=np.float32)[random.integers(0, width, count)][np.newaxis]
    ids = random.permutation(count).astype(np.int64) * 7
    with index.writing(tmp_path / "index"):
        states = ItemStates(ids, {"vectors": StoredArray.encode(vectors, dtype)}, dtype)
        index.publish(tmp_path / "index", states, {"fingerprint": model.fingerprint})
    ranker, some = PreRanker(place, tmp_path / "index"), users(3)

    def check(found, user, allowed, n):
        scores = ranker.score(user, ids).scores
        assert len(np.unique(scores)) <= width
        expected = sorted(np.flatnonzero(allowed).tolist(), key=lambda row: -scores[row])[:n]
        assert found.ids.tolist() == ids[expected].tolist()
        assert np.array_equal(found.scores, scores[expected])

    left_out = random.random(count) < 0.3
    among = random.random(count) < 0.4
    shuffled = random.permutation(ids[among])
    for n in (1, 10, 1999, 9999):
        for user, found in zip(some, ranker.top_many(some, n), strict=True):
            check(found, user, np.ones(count, bool), n)
        check(ranker.top(some[0], n, exclude=ids[left_out]), some[0], ~left_out, n)
        check(ranker.top(some[1], n, candidates=shuffled), some[1], among, n)
        both = ranker.top(some[2], n, candidates=shuffled, exclude=ids[left_out])
        check(both, some[2], among & ~left_out, n)


def test_the_number_of_items_may_be_of_any_integer_type(place, tmp_path):
    model = Artefact(place)
    width = model.features["outputs"]["item_tower"]["item_vector"][1]
    with index.writing(tmp_path / "index"):
        vectors = StoredArray(np.zeros((1, 500, width), np.float32))
        states = ItemStates(np.arange(500), {"vectors": vectors}, "float32")
        index.publish(tmp_path / "index", states, {"fingerprint": model.fingerprint})
    ranker = PreRanker(place, tmp_path / "index")
    for n in (np.int8(3), np.uint8(3), np.int64(3), np.uint64(3)):
        assert ranker.top(users(1)[0], n).ids.tolist() == [0, 1, 2]
        assert ranker.top(users(1)[0], n, exclude=np.arange(300)).ids.tolist() == [300, 301, 302]
