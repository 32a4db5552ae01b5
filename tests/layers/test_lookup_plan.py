import numpy as np
import pytest
import tensorflow as tf

from layers.lookup_plan import (
    DISTINCT,
    ELEMENTS,
    SLOTS,
    SORTED_ROWS,
    SORTED_SLOTS,
    WEIGHTS,
    DistinctRows,
    LookupPlan,
    sum_by_slot,
    with_gathered,
)

STARTS = {"user": 0, "item": 5, "history": 5, "genres": 14}
INPUTS = {
    "user": np.array([4, 1, 0, 4], np.int32),
    "history": np.array([[3, 3, 1], [0, 0, 0], [0, 7, 0], [8, 2, 0]], np.int32),
    "item": np.array([3, 0, 8, 3], np.int32),
    "genres": np.array([[1, 0], [3, 2], [0, 0], [2, 2]], np.int32),
    "age": np.zeros(4, np.float32),
}
SLOT_COUNT = {(): 16, ("history",): 24, ("genres", "history"): 28}

each_keep = pytest.mark.parametrize("keep", SLOT_COUNT)


def lookups(keep):
    """Every filled element as (slot, table row), found one by one."""
    found, slot = [], 0
    for name, start in STARTS.items():
        for row in INPUTS[name].reshape(4, -1):
            for index in row:
                if INPUTS[name].ndim == 1 or index != 0:
                    found.append((slot, start + index))
                slot += name in keep
            slot += name not in keep
    assert slot == SLOT_COUNT[keep]
    return found


def as_tensors(plan):
    return {name: tf.constant(values) for name, values in plan.items()}


@each_keep
def test_the_elements_by_slot_and_by_row(keep):
    plan = LookupPlan(STARTS, keep)(INPUTS)
    wanted = lookups(keep)
    np.testing.assert_array_equal(plan[DISTINCT], sorted({row for _, row in wanted}))
    assert list(zip(plan[SLOTS], plan[DISTINCT][plan[ELEMENTS]], strict=True)) == wanted
    by_row = list(zip(plan[DISTINCT][plan[SORTED_ROWS]], plan[SORTED_SLOTS], strict=True))
    assert [row for row, _ in by_row] == sorted(row for _, row in wanted)
    assert sorted(by_row) == sorted((row, slot) for slot, row in wanted)


@each_keep
def test_weights_are_one_over_the_number_of_filled_elements(keep):
    plan = LookupPlan(STARTS, keep)(INPUTS)
    wanted = {"history": [1 / 3, 0, 1, 1 / 2], "genres": [1, 1 / 2, 0, 1 / 2]}
    np.testing.assert_allclose(plan[WEIGHTS], [x for name in wanted if name not in keep for x in wanted[name]])


@each_keep
def test_types_are_those_of_the_signature(keep):
    plan = LookupPlan(STARTS, keep)
    made = plan(INPUTS)
    assert made.keys() == plan.signature.keys()
    for name, spec in plan.signature.items():
        assert (made[name].dtype, made[name].ndim) == (spec.dtype.as_numpy_dtype, spec.shape.rank), name


def test_a_batch_without_a_filled_element():
    plan = LookupPlan({"genres": 3})({"genres": np.zeros((2, 5), np.int32)})
    assert [len(plan[name]) for name in (DISTINCT, ELEMENTS, SLOTS, SORTED_ROWS, SORTED_SLOTS)] == [0] * 5
    np.testing.assert_array_equal(plan[WEIGHTS], [0, 0])


@each_keep
@pytest.mark.parametrize("graph", [False, True])
def test_sums_and_their_gradient(keep, graph):
    plan = LookupPlan(STARTS, keep)(INPUTS)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(plan[DISTINCT]), 3)).astype(np.float32)
    upstream = rng.normal(size=(SLOT_COUNT[keep], 3)).astype(np.float32)
    sums, gradient = np.zeros_like(upstream), np.zeros_like(rows)
    for slot, row in lookups(keep):
        position = int(np.searchsorted(plan[DISTINCT], row))
        sums[slot] += rows[position]
        gradient[position] += upstream[slot]

    def run(rows, plan):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            found = sum_by_slot(rows, plan, tf.constant(SLOT_COUNT[keep]))
        return found, tape.gradient(found, rows, upstream)

    found = (tf.function(run) if graph else run)(tf.constant(rows), as_tensors(plan))
    np.testing.assert_allclose(found[0], sums, atol=1e-6)
    np.testing.assert_allclose(found[1], gradient, atol=1e-6)


def test_the_whole_gradient_of_a_table():
    plan = {DISTINCT: tf.constant([2, 5])}
    rows, of_rows = tf.constant([[10.0], [20.0]]), tf.constant([[1.0], [2.0]])
    alone = with_gathered(None, of_rows, rows, plan)
    assert isinstance(alone, DistinctRows)
    np.testing.assert_array_equal(tf.convert_to_tensor(alone.indices), [2, 5])
    np.testing.assert_array_equal(alone.rows, rows)
    both = with_gathered(tf.IndexedSlices(tf.constant([[4.0]]), tf.constant([5], tf.int64)), of_rows, rows, plan)
    assert not isinstance(both, DistinctRows)
    np.testing.assert_array_equal(
        tf.math.unsorted_segment_sum(both.values, both.indices, 7)[:, 0], [0, 0, 1, 0, 0, 6, 0]
    )
