import json

import numpy as np
import pytest
import tensorflow as tf

from training.optimizer import LazyAdam

ROWS, DIM = 7, 3
RATE, BETA_1, BETA_2, EPSILON = 0.05, 0.9, 0.999, 1e-7
BATCHES = ([1, 4, 4, 1, 4], [4], [2, 1], [6, 6], [1, 2, 4, 6])
"""Rows looked up at each step; 0, 3 and 5 never."""


class Model(tf.Module):
    """A table of which each step looks up some rows, and a dense vector."""

    def __init__(self, dtype=tf.float32):
        super().__init__()
        random = np.random.default_rng(0)
        self.table = tf.Variable(random.normal(size=(ROWS, DIM)), dtype=dtype)
        self.vector = tf.Variable(random.normal(size=DIM), dtype=dtype)

    def loss(self, rows, targets):
        return tf.reduce_sum((tf.gather(self.table, rows) * self.vector - targets) ** 2)


def step_data(step):
    rows = np.array(BATCHES[step])
    return rows, np.random.default_rng(100 + step).normal(size=(len(rows), DIM)).astype(np.float32)


def train(model, optimizer, steps, jit_compile=None):
    """Train on the batches of `steps`; `jit_compile` None is eager."""

    def step(rows, targets):
        with tf.GradientTape() as tape:
            loss = model.loss(rows, targets)
        optimizer.minimize(loss, [model.table, model.vector], tape=tape)

    if jit_compile is not None:
        step = tf.function(step, jit_compile=jit_compile)
    for number in steps:
        rows, targets = step_data(number)
        step(tf.constant(rows, tf.int32), tf.constant(targets))


def numpy_steps(steps, l2=0.0):
    """The same training: the values and moments of both variables after each step."""
    model = Model(tf.float64)
    values = [model.table.numpy(), model.vector.numpy()]
    first, second = [np.zeros((ROWS, DIM)), np.zeros(DIM)], [np.zeros((ROWS, DIM)), np.zeros(DIM)]
    for number in range(steps):
        rows, targets = step_data(number)
        table, vector = values
        errors = 2 * (table[rows] * vector - targets)
        gradients = [np.zeros((ROWS, DIM)), np.sum(errors * table[rows], axis=0)]
        np.add.at(gradients[0], rows, errors * vector)
        touched = [np.unique(rows), np.arange(DIM)]
        gradients[0][touched[0]] += 2 * l2 * table[touched[0]]
        rate = RATE * np.sqrt(1 - BETA_2 ** (number + 1)) / (1 - BETA_1 ** (number + 1))
        for value, gradient, m, v, chosen in zip(values, gradients, first, second, touched, strict=True):
            m[chosen] = BETA_1 * m[chosen] + (1 - BETA_1) * gradient[chosen]
            v[chosen] = BETA_2 * v[chosen] + (1 - BETA_2) * gradient[chosen] ** 2
            value[chosen] -= rate * m[chosen] / (np.sqrt(v[chosen]) + EPSILON)
    return values, first, second


def assert_state(model, optimizer, expected, rtol=1e-4):
    values, first, second = expected
    for found, wanted in zip([model.table, model.vector], values, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-5)
    for found, wanted in zip([*optimizer._first, *optimizer._second], [*first, *second], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "xla"])
def test_values_and_moments(jit_compile, l2):
    model, optimizer = Model(), LazyAdam(RATE, embedding_l2=l2)
    train(model, optimizer, range(len(BATCHES)), jit_compile)
    assert int(optimizer.iterations) == len(BATCHES)
    assert_state(model, optimizer, numpy_steps(len(BATCHES), l2))


@pytest.mark.parametrize("jit_compile", [None, True], ids=["eager", "xla"])
def test_rows_not_looked_up_stay_as_they_are(jit_compile):
    model, optimizer = Model(), LazyAdam(RATE, embedding_l2=0.3)
    for number, rows in enumerate(BATCHES):
        optimizer.build([model.table, model.vector])
        tables = [model.table, optimizer._first[0], optimizer._second[0]]
        before = [table.numpy() for table in tables]
        train(model, optimizer, [number], jit_compile)
        untouched = sorted(set(range(ROWS)) - set(rows))
        for table, old in zip(tables, before, strict=True):
            np.testing.assert_array_equal(table.numpy()[untouched], old[untouched])
            assert (table.numpy()[sorted(set(rows))] != old[sorted(set(rows))]).all()


def test_a_dense_variable_moves_as_with_keras_s_adam():
    variables = [tf.Variable(np.random.default_rng(0).normal(size=(5, 4)), dtype=tf.float32) for _ in range(2)]
    optimizers = LazyAdam(embedding_l2=0.3), tf.keras.optimizers.Adam()
    for step in range(20):
        gradient = tf.constant(np.random.default_rng(step).normal(size=(5, 4)), tf.float32)
        for optimizer, variable in zip(optimizers, variables, strict=True):
            optimizer.apply_gradients([(gradient, variable)])
    np.testing.assert_allclose(variables[0], variables[1], rtol=0, atol=1e-6)


def test_a_table_whose_every_row_is_looked_up_moves_as_with_keras_s_adam():
    variables = [tf.Variable(np.random.default_rng(0).normal(size=(5, 4)), dtype=tf.float32) for _ in range(2)]
    optimizers = LazyAdam(), tf.keras.optimizers.Adam()
    for step in range(20):
        gradient = tf.constant(np.random.default_rng(step).normal(size=(5, 4)), tf.float32)
        for optimizer, variable in zip(optimizers, variables, strict=True):
            optimizer.apply_gradients([(tf.IndexedSlices(gradient, tf.range(5), [5, 4]), variable)])
    np.testing.assert_allclose(variables[0], variables[1], rtol=0, atol=1e-6)


def test_a_step_without_rows_moves_none():
    model, optimizer = Model(), LazyAdam(RATE, embedding_l2=0.3)
    before = model.table.numpy()
    nothing = tf.IndexedSlices(tf.zeros([0, DIM]), tf.zeros([0], tf.int32), [ROWS, DIM])
    optimizer.apply_gradients([(nothing, model.table)])
    np.testing.assert_array_equal(model.table, before)
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("jit_compile", [None, False], ids=["eager", "graph"])
def test_scaled_losses(jit_compile):
    model = Model()
    inner = LazyAdam(RATE, embedding_l2=0.3)
    train(model, tf.keras.mixed_precision.LossScaleOptimizer(inner, initial_scale=2.0**10), range(5), jit_compile)
    assert_state(model, inner, numpy_steps(5, 0.3))


def test_an_overflow_of_the_scaled_loss_skips_the_step():
    model = Model()
    before = model.table.numpy(), model.vector.numpy()
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(LazyAdam(RATE), initial_scale=3e38)
    train(model, optimizer, [0])
    np.testing.assert_array_equal(model.table, before[0])
    np.testing.assert_array_equal(model.vector, before[1])
    assert float(optimizer.loss_scale) < 3e38


def test_variables_cast_by_mixed_precision():
    """Keras wraps the weights of a layer of mixed precision; the moments and values stay in float32."""
    layer = tf.keras.layers.Embedding(ROWS, DIM, dtype="mixed_bfloat16")
    layer.build(None)
    layer.embeddings.assign(Model().table)
    optimizer = LazyAdam(RATE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(tf.constant([1, 4, 4])), tf.float32) ** 2)
    optimizer.minimize(loss, layer.trainable_variables, tape=tape)
    assert optimizer._first[0].dtype == tf.float32
    moved = np.flatnonzero(np.any(layer.embeddings.numpy() != Model().table.numpy(), axis=1))
    np.testing.assert_array_equal(moved, [1, 4])


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("built_first", [True, False])
def test_a_restored_training_goes_on_as_if_it_had_not_stopped(tmp_path, scaled, built_first):
    def make():
        optimizer = LazyAdam(RATE, embedding_l2=0.3)
        return Model(), tf.keras.mixed_precision.LossScaleOptimizer(optimizer) if scaled else optimizer

    whole, optimizer = make()
    train(whole, optimizer, range(5))
    first, optimizer = make()
    train(first, optimizer, range(3))
    path = tf.train.Checkpoint(model=first, optimizer=optimizer).write(str(tmp_path / "state"))
    second, optimizer = make()
    if built_first:
        optimizer.build([second.table, second.vector])
    status = tf.train.Checkpoint(model=second, optimizer=optimizer).read(path)
    if built_first:
        status.assert_consumed()
    train(second, optimizer, range(3, 5))
    status.assert_existing_objects_matched()
    assert int(optimizer.iterations) == 5
    np.testing.assert_array_equal(second.table, whole.table)
    np.testing.assert_array_equal(second.vector, whole.vector)


def test_configuration_round_trip():
    optimizer = LazyAdam(0.25, beta_1=0.5, beta_2=0.75, epsilon=0.125, embedding_l2=0.0625, name="lazy", clipnorm=2.0)
    config = json.loads(json.dumps(optimizer.get_config(), default=float))
    assert LazyAdam.from_config(config).get_config() == optimizer.get_config()
    serialised = json.loads(json.dumps(tf.keras.optimizers.serialize(optimizer), default=float))
    restored = tf.keras.optimizers.deserialize(serialised)
    assert type(restored) is LazyAdam
    assert restored.get_config() == optimizer.get_config()


def test_a_learning_rate_schedule():
    schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.01, 0.001])
    optimizer = LazyAdam(schedule)
    variable = tf.Variable(np.zeros([2, 1], np.float32))
    moved = []
    for _ in range(3):
        before = variable.numpy()[1, 0]
        optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 1]), [1], [2, 1]), variable)])
        moved.append(before - variable.numpy()[1, 0])
    np.testing.assert_allclose(moved, [0.1, 0.01, 0.001], rtol=1e-4)
    restored = LazyAdam.from_config(optimizer.get_config())
    assert restored.get_config() == optimizer.get_config()
