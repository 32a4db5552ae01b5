import numpy as np
import pytest
import tensorflow as tf

from layers import Dropout

ONES = tf.ones([500, 400])


def masks(layer, steps=1, inputs=ONES):
    return [layer(inputs, training=True).numpy() for _ in range(steps)]


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.5, 0.9])
def test_rate_and_scale(rate):
    (dropped,) = masks(Dropout(rate))
    rounded = round(rate * 256) / 256
    assert abs(rounded - rate) <= 1 / 512
    share = np.mean(dropped == 0)
    assert abs(share - rounded) < 5 * np.sqrt(rounded * (1 - rounded) / dropped.size)
    np.testing.assert_allclose(dropped[dropped != 0], 1 / (1 - rounded), rtol=1e-6)
    # rows and columns are hit alike
    assert np.ptp((dropped == 0).mean(0)) < 0.3
    assert np.ptp((dropped == 0).mean(1)) < 0.3


def test_the_mean_is_kept():
    inputs = tf.random.stateless_uniform([1000, 300], [1, 2])
    (dropped,) = masks(Dropout(0.3), inputs=inputs)
    assert dropped.mean() == pytest.approx(float(tf.reduce_mean(inputs)), rel=0.01)


def test_masks_differ_by_step_and_seed_and_are_independent():
    first, second, third = (mask == 0 for mask in masks(Dropout(0.5, seed=1), steps=3))
    other = masks(Dropout(0.5, seed=2))[0] == 0
    far = masks(Dropout(0.5, seed=1 << 40))[0] == 0
    for one, two in [(first, second), (second, third), (first, third), (first, other), (second, other), (first, far)]:
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 5 / np.sqrt(one.size)


def test_same_seed_same_masks():
    np.testing.assert_array_equal(masks(Dropout(0.5, seed=1), 3), masks(Dropout(0.5, seed=1), 3))


def test_masks_are_repeated_when_the_step_is_restored():
    layer = Dropout(0.5)
    masks(layer, 2)
    step = int(layer.step)
    assert step == 2
    expected = masks(layer, 2)
    other = Dropout(0.5)
    other.build(ONES.shape)
    other.step.assign(step)
    np.testing.assert_array_equal(masks(other, 2), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_masks_are_the_same(jit_compile):
    compiled = Dropout(0.3, seed=5)
    compiled.build(ONES.shape)
    function = tf.function(lambda inputs: compiled(inputs, training=True), jit_compile=jit_compile)
    np.testing.assert_array_equal([function(ONES).numpy() for _ in range(3)], masks(Dropout(0.3, seed=5), 3))


def test_a_batch_of_unknown_size():
    layer = Dropout(0.5)
    layer.build((None, 3))
    function = tf.function(lambda inputs: layer(inputs, training=True), input_signature=[tf.TensorSpec([None, 3])])
    for rows in (1, 2, 7):  # sizes that four random bytes do not divide
        assert set(np.unique(function(tf.ones([rows, 3])))) <= {0.0, 2.0}


@pytest.mark.parametrize("training", [False, None])
def test_none_in_inference(training):
    layer = Dropout(0.5)
    np.testing.assert_array_equal(layer(ONES, training=training), ONES)
    assert int(layer.step) == 0


def test_gradient_is_the_scaled_mask():
    layer = Dropout(0.5)
    inputs = tf.Variable(ONES)
    with tf.GradientTape() as tape:
        outputs = layer(inputs, training=True)
    np.testing.assert_array_equal(tape.gradient(outputs, inputs), outputs)


def test_not_finite_inputs_are_dropped_too():
    (dropped,) = masks(Dropout(0.5), inputs=tf.fill([100, 10], np.inf))
    assert set(np.unique(dropped)) == {0.0, np.inf}


def test_extreme_rates():
    np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)
    (dropped,) = masks(Dropout(0.9999))
    assert np.isfinite(dropped).all()
    assert np.mean(dropped == 0) > 0.99


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_rates_that_are_none(rate):
    with pytest.raises(ValueError, match=f"Received: rate={rate}"):
        Dropout(rate)
