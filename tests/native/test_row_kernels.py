"""The compiled operations give what TensorFlow's give, to the last bit, and what NumPy gives."""

import numpy as np
import pytest
import tensorflow as tf

from layers.lookup_plan import (
    DISTINCT,
    ELEMENTS,
    SLOTS,
    SORTED_ROWS,
    SORTED_SLOTS,
    AdamConstants,
    LookupPlan,
    SlotGradient,
    sum_by_slot,
    with_gathered,
)
from native.library import UnavailableError
from native.row_kernels import CompiledRows
from training.optimizer import LazyAdam

ROWS, STEPS = 500, 4
FREQUENT = 3


@pytest.fixture(scope="module")
def kernels():
    try:
        return CompiledRows()
    except UnavailableError as error:
        pytest.skip(str(error))


def planned(number, batch=300, keep=()):
    """A batch of which one row has very many elements, and each number of elements from 1 to 20 occurs."""
    random = np.random.default_rng(number)
    history = random.integers(0, ROWS - 100, (batch, 12), np.int32) * (random.random((batch, 12)) < 0.8)
    history[:, :6][random.random((batch, 6)) < 0.7] = FREQUENT
    single = np.concatenate([np.repeat(np.arange(20), np.arange(20)), np.zeros(batch, int)])[:batch]
    history[:5] = 0  # empty, the first ones
    history[-5:] = 0
    inputs = {"single": single.astype(np.int32), "history": history.astype(np.int32)}
    plan = LookupPlan({"single": ROWS - 30, "history": 0}, keep)(inputs)
    return plan, {name: tf.constant(values) for name, values in plan.items()}


def tables(width, seed=0):
    random = np.random.default_rng(seed)
    return tf.Variable(random.normal(size=(ROWS, width)).astype(np.float32))


each_width = pytest.mark.parametrize("width", [1, 3, 8, 16, 32, 64, 100, 128])


@each_width
@pytest.mark.parametrize("keep", [(), ("history",)])
def test_pooling(kernels, width, keep):
    plan, tensors = planned(0, keep=keep)
    table = tables(width)
    found = kernels.pool(table, tensors)
    wanted = np.zeros((plan["lookup/slot_count"], width))
    np.add.at(wanted, plan[SLOTS], table.numpy()[plan[DISTINCT][plan[ELEMENTS]]])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    theirs = sum_by_slot(tf.gather(table, tensors[DISTINCT]), tensors, tensors["lookup/slot_count"])
    np.testing.assert_array_equal(found, theirs)


@each_width
@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_steps_of_lazy_adam(kernels, width, l2):
    """Against TensorFlow's operations to the last bit, and against the formula in 64 bits."""
    ours, theirs = tables(width), tables(width)
    optimizers = [LazyAdam(0.05, embedding_l2=l2) for _ in range(2)]
    values = ours.numpy().astype(np.float64)
    first, second = np.zeros_like(values), np.zeros_like(values)
    for number in range(STEPS):
        plan, tensors = planned(number)
        upstream = np.random.default_rng(100 + number).normal(size=(plan["lookup/slot_count"], width))
        upstream = tf.constant(upstream, tf.float32)
        gradient = with_gathered(None, upstream, upstream, tensors, kernels)
        assert isinstance(gradient, SlotGradient)
        optimizers[0].apply_gradients([(gradient, ours)])
        rows = tf.gather(theirs, tensors[DISTINCT])
        optimizers[1].apply_gradients([(with_gathered(None, gradient.values, rows, tensors), theirs)])

        chosen = plan[DISTINCT]
        slopes = np.zeros((len(chosen), width))
        np.add.at(slopes, plan[SORTED_ROWS], upstream.numpy().astype(np.float64)[plan[SORTED_SLOTS]])
        np.testing.assert_allclose(gradient.values, slopes, rtol=1e-4, atol=1e-4)
        slopes += 2 * l2 * values[chosen]
        first[chosen] = 0.9 * first[chosen] + 0.1 * slopes
        second[chosen] = 0.999 * second[chosen] + 0.001 * slopes**2
        rate = 0.05 * np.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
        values[chosen] -= rate * first[chosen] / (np.sqrt(second[chosen]) + 1e-7)
    np.testing.assert_allclose(ours, values, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(ours, theirs)
    for mine, other in zip(optimizers[0].variables, optimizers[1].variables, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_gradient_of_slots_is_an_indexed_gradient(kernels):
    """Of whoever knows nothing of it: Keras's Adam, a sum with other look-ups, a function's argument."""
    _, tensors = planned(0)
    upstream = tf.random.stateless_normal([int(tensors["lookup/slot_count"]), 8], [1, 2])
    gradient = with_gathered(None, upstream, upstream, tensors, kernels)
    plain = tf.IndexedSlices(gradient.values, tensors[DISTINCT])
    ours, theirs = tables(8), tables(8)
    for variable, given in ((ours, gradient), (theirs, plain)):
        tf.keras.optimizers.Adam(jit_compile=False).apply_gradients([(given, variable)])
    np.testing.assert_array_equal(ours, theirs)
    passed = tf.function(lambda slices: (slices.values, slices.indices))(plain)
    np.testing.assert_array_equal(passed[0], gradient.values)
    other = tf.IndexedSlices(tf.ones([1, 8]), tf.constant([5], tf.int64))
    both = with_gathered(other, upstream, upstream, tensors, kernels)
    wanted = tf.math.unsorted_segment_sum(plain.values, plain.indices, ROWS).numpy()
    wanted[5] += 1
    np.testing.assert_allclose(tf.math.unsorted_segment_sum(both.values, both.indices, ROWS), wanted, rtol=1e-6)


def test_what_was_read_before_stays(kernels):
    """A step changes the table in place, and not an array that shares its memory."""
    _, tensors = planned(0)
    table, optimizer = tables(8), LazyAdam(0.05)
    before = table.value()
    copy = before.numpy().copy()
    upstream = tf.ones([int(tensors["lookup/slot_count"]), 8])
    optimizer.apply_gradients([(with_gathered(None, upstream, upstream, tensors, kernels), table)])
    np.testing.assert_array_equal(before, copy)
    assert (table.numpy() != copy).any()


def test_a_batch_without_elements(kernels):
    plan = LookupPlan({"genres": 3})({"genres": np.zeros((2, 5), np.int32)})
    tensors = {name: tf.constant(values) for name, values in plan.items()}
    table, optimizer = tables(8), LazyAdam(0.05, embedding_l2=0.1)
    before = table.numpy()
    pooled = kernels.pool(table, tensors)
    np.testing.assert_array_equal(pooled, np.zeros((2, 8)))
    optimizer.apply_gradients([(with_gathered(None, pooled, pooled, tensors, kernels), table)])
    np.testing.assert_array_equal(table, before)


def test_tables_of_another_kind(kernels):
    """In place of what would end the process."""
    _, tensors = planned(0)
    zeros, moments = tf.zeros([int(tensors["lookup/slot_count"]), 8]), (tables(8), tables(8))
    for wrong in (tf.Variable(tf.zeros([ROWS, 8], tf.float16)), tf.Variable(tf.zeros([ROWS]))):
        with pytest.raises(tf.errors.InvalidArgumentError, match="float32 and of rank 2"):
            kernels.pool(wrong, tensors)
        with pytest.raises(tf.errors.InvalidArgumentError, match="float32 and of rank 2"):
            kernels.lazy_adam(wrong, moments, zeros, tensors, tf.constant(0.1), AdamConstants(0.9, 0.999, 1e-7, 0.0))
    repeated = tensors | {DISTINCT: tf.fill([tf.size(tensors[DISTINCT])], 3)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="distinct must lie in"):
        kernels.lazy_adam(tables(8), moments, zeros, repeated, tf.constant(0.1), AdamConstants(0.9, 0.999, 1e-7, 0.0))


@pytest.mark.parametrize("name", [DISTINCT, ELEMENTS, SLOTS, SORTED_ROWS, SORTED_SLOTS])
@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_places_outside(kernels, name, wrong):
    plan, tensors = planned(0)
    broken = plan[name].copy()
    broken[-1] = wrong
    tensors[name] = tf.constant(broken)
    table, moments = tables(8), (tables(8), tables(8))
    gradient, constants = tf.zeros([int(tensors["lookup/slot_count"]), 8]), AdamConstants(0.9, 0.999, 1e-7, 0.0)

    def run():
        if name in (ELEMENTS, SLOTS):
            return kernels.pool(table, tensors)
        return kernels.lazy_adam(table, moments, gradient, tensors, tf.constant(0.1), constants)

    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name.partition('/')[2]} must lie in"):
        run()
