"""The state that a killed training goes on from: whole, in the right order, with all that the next step needs."""

import numpy as np
import pytest
import tensorflow as tf

from training.optimizer import LazyAdam
from training.progress import CheckpointStore, Progress


class Small(tf.keras.Model):
    """One table and one matrix, so that both kinds of gradient occur."""

    def __init__(self, seed):
        super().__init__()
        self.table = self.add_weight(
            name="table", shape=(5, 2), initializer=tf.keras.initializers.RandomNormal(seed=seed)
        )
        self.dense = tf.keras.layers.Dense(1, kernel_initializer=tf.keras.initializers.RandomNormal(seed=seed + 1))

    def call(self, rows):
        return self.dense(tf.gather(self.table, rows))[:, 0]


def made(folder, seed):
    """A model with its optimizer, a variable beside it, and the store of all three."""
    model, optimizer = Small(seed), LazyAdam(0.1)
    model(tf.constant([0]))
    beside = tf.Variable([float(seed), 0.0])
    optimizer.build([*model.trainable_variables, beside])
    return model, optimizer, beside, CheckpointStore(folder, model, optimizer, [beside])


def step(model, optimizer, beside, number):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(tf.constant([number % 5, 1])) - 1)) + tf.reduce_sum(beside**2)
    variables = [*model.trainable_variables, beside]
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def progress(epochs, best):
    return Progress(epochs, best, 0.7, False, "", [{"epoch": number + 1} for number in range(epochs)])


def numbers(model, optimizer, beside):
    return [variable.numpy() for variable in (*model.variables, beside, *optimizer.variables)]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def test_weights_optimizer_and_what_is_beside_go_on_as_if_nothing_had_happened(tmp_path):
    *whole, store = made(tmp_path, 1)
    for number in range(4):
        step(*whole, number)
    store.save(progress(1, 0))
    saved = numbers(*whole)
    *again, other = made(tmp_path, 7)
    assert other.restore() == progress(1, 0)
    assert_equal(numbers(*again), saved)
    for parts in (whole, again):
        step(*parts, 4)
    assert_equal(numbers(*again), numbers(*whole))
    *fresh, _ = made(tmp_path, 7)  # with the weights only, the step is another
    for variable, value in zip((*fresh[0].variables, fresh[2]), saved, strict=False):
        variable.assign(value)
    step(*fresh, 4)
    assert not np.allclose(fresh[0].dense.kernel, again[0].dense.kernel)


def test_a_kill_before_the_weights_are_written_leaves_the_last_epoch(tmp_path, monkeypatch):
    *parts, store = made(tmp_path, 1)
    store.save(progress(1, 0))
    before = numbers(*parts)
    step(*parts, 0)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", die)
        with pytest.raises(KeyboardInterrupt):
            store.save(progress(2, 1))
    *again, other = made(tmp_path, 7)
    assert other.restore() == progress(1, 0)
    assert_equal(numbers(*again), before)


def test_a_kill_between_the_weights_and_the_progress_leaves_the_last_epoch(tmp_path, monkeypatch):
    *parts, store = made(tmp_path, 1)
    store.save(progress(1, 0))
    before = numbers(*parts)
    step(*parts, 0)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.progress.folders.write_text", die)
        with pytest.raises(KeyboardInterrupt):
            store.save(progress(2, 1))
    *again, other = made(tmp_path, 7)
    assert other.restore() == progress(1, 0)
    assert_equal(numbers(*again), before)


def test_the_last_and_the_best_epoch_are_kept_and_nothing_else(tmp_path):
    *parts, store = made(tmp_path, 1)
    kept = {}
    for epoch, best in enumerate([0, 1, 1, 1], 1):
        step(*parts, epoch)
        kept[epoch - 1] = parts[0].dense.kernel.numpy()
        store.save(progress(epoch, best))
        assert {path.name for path in tmp_path.glob("epoch-*")} == {f"epoch-{epoch - 1:03d}", f"epoch-{best:03d}"}
    *again, other = made(tmp_path, 7)
    found = other.restore()
    np.testing.assert_array_equal(again[0].dense.kernel, kept[3])
    other.restore_best(found)
    np.testing.assert_array_equal(again[0].dense.kernel, kept[1])


def test_without_a_best_epoch_the_weights_stay(tmp_path):
    *parts, store = made(tmp_path, 1)
    before = numbers(*parts)
    assert store.restore() == Progress()
    store.restore_best(Progress())
    assert_equal(numbers(*parts), before)
