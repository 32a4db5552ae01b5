import dataclasses

import numpy as np
import pytest

from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from training.batches import Batches, read_columns
from training.item_states import NEVER, Counts, ItemStates


def asked(data, items, times):
    states = ItemStates(data)
    own = np.zeros((len(items), states.layout.width), np.int32), np.zeros((len(items), 1), np.float32)
    return states, states.packed(items, times, own)


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"split": "user_time"},
        {"split": "random"},
        {"protocol": "reference"},
        {"split": "user_time", "state": "frozen"},
    ],
    ids=str,
)
def data(request, sample_folder, tmp_path_factory):
    options = DataOptions(data_path=sample_folder, prepared_dir=tmp_path_factory.mktemp("states"), **request.param)
    return prepare(ADAPTER, options, lambda _: None)


def test_a_row_s_own_item_at_its_own_time_has_the_row_s_own_fields(data):
    columns = read_columns(data, "train", ["item_group", "timestamp"])
    states, (integers, floats) = asked(data, columns["item_group"], columns["timestamp"])
    found = states.layout.fields(integers, floats)
    names = [field.name for field in data.spec.side("item")]
    wanted = Batches(data, "train", 500).columns(names)
    assert found.keys() == set(names)
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def test_means_of_other_items_know_the_labels_before_the_time_and_no_others(prepared):
    parts = [
        read_columns(prepared, part, ["label", "item_group", "timestamp"]) for part in ("train", "validation", "test")
    ]
    labels, items, times = (
        np.concatenate([part[name] for part in parts]) for name in ("label", "item_group", "timestamp")
    )
    g = parts[0]["label"].mean()
    random = np.random.default_rng(0)
    trained = np.unique(parts[0]["item_group"])
    chosen, moments = random.choice(trained, 50), random.choice(times, 50)
    states, (_, floats) = asked(prepared, chosen, moments)
    field = prepared.spec[prepared.spec.item_mean]
    found = states.layout.fields(np.zeros((50, states.layout.width)), floats)[field.name] * field.scale + field.mean
    for item, moment, mean in zip(chosen, moments, found, strict=True):
        before = labels[(items == item) & (times < moment)]
        assert mean == pytest.approx((before.sum() + 5 * g) / (len(before) + 5), abs=1e-6)
    firsts = [parts[0]["timestamp"][parts[0]["item_group"] == item].min() for item in chosen]
    np.testing.assert_array_equal(states.first[chosen], firsts)
    missing = np.setdiff1d(np.arange(len(states.first)), trained)
    assert (states.first[missing] == NEVER).all()


def test_counts_are_of_rows_strictly_before():
    counts = Counts(np.array([1, 0, 1, 1]), np.array([5, 5, 3, 9]), np.array([1, 1, 0, 4]))
    rows, amounts = counts.before(np.array([1, 1, 1, 0, 2, 1]), np.array([3, 5, 6, 6, 9, 99]))
    assert rows.tolist() == [0, 1, 2, 1, 0, 3]
    assert amounts.tolist() == [0, 0, 1, 1, 0, 5]


def test_a_field_of_the_context_is_that_of_the_row_that_asks(prepared):
    context = dataclasses.replace(prepared.spec, context=("genres",))
    states = ItemStates(dataclasses.replace(prepared, spec=context))
    items = np.unique(read_columns(prepared, "train", ["item_group"])["item_group"])[:4]
    own = np.full((4, states.layout.width), 3, np.int32), np.zeros((4, len(states.layout.dense)), np.float32)
    found = states.layout.fields(*states.packed(items, np.full(4, 2**40), own))
    assert (found["genres"] == 3).all()
    assert not (found["movie_id"] == 3).all()
