"""How an index stores item states, by hand, and updates of an index against a dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prerank import index
from prerank.build_index import _merge
from prerank.index import ItemStates
from prerank.storage import StoredArray

MODEL = "0" * 64
TOLERANCE = {"float32": 0.0, "float16": 2.0**-11, "int8": 0.5 / 127 + 1e-6}
"""What an element may be off, as a share of it, or for int8 of its row's largest."""


def row(*values):
    return np.array([[values]], np.float32)


def test_int8_rounds_to_the_nearest_step_of_the_rows_own_scale():
    stored = StoredArray.encode(row(127.0, 0.6, -0.6, 0.4, -1.6, 2.5, -126.7), "int8")
    assert stored.values.dtype == np.int8
    assert stored.values.tolist() == [[[127, 1, -1, 0, -2, 2, -127]]]
    assert stored.scales.tolist() == [[[1.0]]]
    two = np.array([[[254.0, -1.2], [0.0, 0.0], [-0.5, 0.25]]], np.float32)
    stored = StoredArray.encode(two, "int8")
    assert stored.values.tolist() == [[[127, -1], [0, 0], [-127, 64]]]
    np.testing.assert_allclose(stored.scales[0, :, 0], [2, 1, 0.5 / 127], rtol=1e-6)
    np.testing.assert_allclose(stored.read(slice(0, 3))[0], [[254, -2], [0, 0], [-0.5, 32 / 127]], rtol=1e-6)


def test_float16_keeps_numbers_beyond_its_range_at_its_end():
    stored = StoredArray.encode(row(1e6, -1e6, 65504.0, 65519.0, 70000.0, 1.5), "float16")
    assert stored.values.dtype == np.float16
    found = stored.read(slice(0, 1))
    assert found.dtype == np.float32
    assert found.tolist() == [[[65504.0, -65504.0, 65504.0, 65504.0, 65504.0, 1.5]]]


def test_every_finite_float16_is_read_exactly():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(1, -1, 2)
    assert halves.size == (1 << 16) - (1 << 11)
    for rows in (slice(0, halves.shape[1]), np.arange(halves.shape[1])[::-1]):
        found = StoredArray(halves).read(rows)
        assert found.dtype == np.float32
        wanted = [value.hex() for value in halves[:, rows].reshape(-1).tolist()]  # -0.0 is not 0.0
        assert [value.hex() for value in found.reshape(-1).tolist()] == wanted


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_integers_and_floats_of_width_1_stay_as_they_are(dtype):
    numbers = np.array([[[3], [2**20 + 1]]], np.int32)
    assert StoredArray.encode(numbers, dtype).values.tolist() == numbers.tolist()
    assert StoredArray.encode(numbers, dtype).values.dtype == np.int32
    narrow = np.array([[[1 / 3], [1e6]]], np.float32)
    stored = StoredArray.encode(narrow, dtype)
    assert stored.values.dtype == np.float32
    assert stored.values.tolist() == narrow.tolist()
    assert stored.scales is None


def test_bytes_of_an_item():
    array = np.zeros((2, 5, 6), np.float32)
    sizes = {dtype: StoredArray.encode(array, dtype).bytes_per_item for dtype in TOLERANCE}
    assert sizes == {"float32": 2 * 6 * 4, "float16": 2 * 6 * 2, "int8": 2 * (6 + 4)}


def _states(vectors, dtype):
    """States of items by id; their vectors are (2, width)."""
    ids = np.array(list(vectors), np.int64)
    array = np.stack(list(vectors.values()), axis=1) if vectors else np.zeros((2, 0, 3), np.float32)
    query = (ids % 5).astype(np.int32).reshape(1, -1, 1)
    return ItemStates(ids, {"heads": StoredArray.encode(array, dtype), "meta_index": StoredArray(query)}, dtype)


@settings(max_examples=20, deadline=None)
@given(
    dtype=st.sampled_from(list(TOLERANCE)),
    changes=st.lists(
        st.tuples(st.sampled_from(["update", "replace"]), st.lists(st.integers(-3, 12), unique=True, min_size=1)),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sequence_of_updates_and_removals_is_that_of_a_dictionary(dtype, changes, seed, tmp_path_factory):
    """An update adds and replaces items; a catalogue that lacks items removes them. Each is written and read."""
    random = np.random.default_rng(seed)
    folder, expected, present = tmp_path_factory.mktemp("index"), {}, None
    for kind, ids in changes:
        new = {int(item): random.normal(size=(2, 3)).astype(np.float32) for item in ids}
        update = kind == "update" and present is not None
        expected = {**(expected if update else {}), **new}
        states = _merge(present, _states(new, dtype), None, folder) if update else _states(new, dtype)
        with index.writing(folder):
            version = index.publish(folder, states, {"fingerprint": MODEL})
        found_version, present = index.read(folder, MODEL)
        assert found_version == version
        assert sorted(present.ids.tolist()) == sorted(expected)
        assert len(present.ids) == len(expected)
        found = present.arrays["heads"].read(slice(0, len(expected)))
        for place, item in enumerate(present.ids.tolist()):
            of_row = np.abs(expected[item]).max(axis=1, keepdims=True)
            size = of_row if dtype == "int8" else np.abs(expected[item])
            assert (np.abs(found[:, place] - expected[item]) <= TOLERANCE[dtype] * size + 1e-7).all()
            assert present.arrays["meta_index"].values[0, place, 0] == item % 5
