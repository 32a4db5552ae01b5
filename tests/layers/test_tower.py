import numpy as np
import pytest
import tensorflow as tf

from layers import Tower

EPSILON = 1e-3


def tower(**options):
    """A tower of two hidden layers and a linear one, every weight random."""
    layer = Tower((7, 4), 3, **options)
    layer.build((None, 5))
    random = np.random.default_rng(0)
    for weight in layer.weights:
        if "step" not in weight.name:
            weight.assign(
                random.uniform(0.2, 1.5, weight.shape) * (1 if "moving" in weight.name else -1) ** len(weight.shape)
            )
    return layer


def inputs(rows=16):
    return np.random.default_rng(1).normal(size=(rows, 5)).astype(np.float32)


def expected(layer, values, training):
    """Dense without bias, batch norm, ReLU, twice; then dense with bias. Also each batch norm's mean and variance."""
    moments = []
    for dense, norm in zip(layer._dense, layer._norms, strict=True):
        values = values @ np.array(dense.kernel)
        if training:
            mean, variance = values.mean(0), values.var(0)
        else:
            mean, variance = np.array(norm.moving_mean), np.array(norm.moving_variance)
        moments.append((mean, variance))
        values = (values - mean) / np.sqrt(variance + EPSILON) * np.array(norm.gamma) + np.array(norm.beta)
        values = np.maximum(values, 0)
    return values @ np.array(layer._output.kernel) + np.array(layer._output.bias), moments


@pytest.mark.parametrize("training", [False, True])
def test_value(training):
    layer = tower()
    values, _ = expected(layer, inputs(), training)
    np.testing.assert_allclose(layer(inputs(), training=training), values, rtol=1e-4, atol=1e-5)


def test_moving_averages_follow_the_batches_in_training_only():
    layer = tower()
    before = [(np.array(norm.moving_mean), np.array(norm.moving_variance)) for norm in layer._norms]
    layer(inputs(), training=False)
    for norm, (mean, variance) in zip(layer._norms, before, strict=True):
        np.testing.assert_array_equal(norm.moving_mean, mean)
        np.testing.assert_array_equal(norm.moving_variance, variance)
    _, moments = expected(layer, inputs(), training=True)
    layer(inputs(), training=True)
    for norm, old, new in zip(layer._norms, before, moments, strict=True):
        np.testing.assert_allclose(norm.moving_mean, 0.9 * old[0] + 0.1 * new[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(norm.moving_variance, 0.9 * old[1] + 0.1 * new[1], rtol=1e-4, atol=1e-6)


def test_gradient_of_the_input():
    layer = tower()
    variable = tf.Variable(inputs(4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(variable, training=False) ** 2)
    gradient = tape.gradient(loss, variable).numpy()
    for place in np.ndindex(4, 5):
        step = np.zeros((4, 5))
        step[place] = 1e-6
        above, below = (np.sum(expected(layer, inputs(4) + sign * step, False)[0] ** 2) for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, rel=1e-3, abs=1e-3)


def test_no_bias_before_a_batch_norm():
    assert [dense.use_bias for dense in tower()._dense] == [False, False]
    assert len(tower().trainable_weights) == 2 * 3 + 2


def test_the_output_is_linear_or_left_out():
    assert (tower()(inputs(), training=False).numpy() < 0).any()
    hidden = Tower((7, 4))(inputs())
    assert hidden.shape == (16, 4)
    assert (hidden.numpy() >= 0).all()


@pytest.mark.parametrize("output_units", [None, 3])
def test_every_layer_s_output(output_units):
    layer = Tower((7, 4), output_units)
    outputs = layer(inputs(), return_layers=True)
    assert [output.shape[1] for output in outputs] == [7, 4, 3][: 2 if output_units is None else 3]
    np.testing.assert_array_equal(outputs[-1], layer(inputs()))
    np.testing.assert_array_equal(outputs[0], Tower((7,))(inputs()))


def test_a_tower_without_hidden_layers():
    layer = Tower((), 3)
    np.testing.assert_allclose(layer(inputs()), inputs() @ np.array(layer._output.kernel), rtol=1e-4, atol=1e-6)
    assert tuple(layer.compute_output_shape((16, 5))) == (16, 3)
    np.testing.assert_array_equal(Tower(())(inputs()), inputs())
    assert tuple(Tower(()).compute_output_shape((16, 5))) == (16, 5)


def test_dropout_after_each_hidden_layer_in_training_only():
    layer = Tower((64, 64), dropout=0.5)
    np.testing.assert_array_equal(layer(inputs()), layer(inputs()))
    first, second = layer(inputs(), training=True).numpy(), layer(inputs(), training=True).numpy()
    without = Tower((64, 64))(inputs(), training=True).numpy()
    assert np.mean(first == 0) > np.mean(without == 0) + 0.1
    assert not np.allclose(first, second)
    assert len({dropout.seed for dropout in layer._dropouts}) == 2
    assert [int(dropout.step) for dropout in layer._dropouts] == [2, 2]


def test_initial_weights_are_given_by_the_seed():
    first, same, other = (Tower((7, 7, 7), 3, seed=seed) for seed in (1, 1, 50))
    for layer in (first, same, other):
        layer.build((None, 7))
    kernels = [
        [np.array(weight) for weight in layer.weights if len(weight.shape) == 2] for layer in (first, same, other)
    ]
    for one, two, three in zip(*kernels, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.allclose(one, three)
    assert not np.allclose(kernels[0][0], kernels[0][1])


def test_weights_have_names_of_their_own():
    layer = tower()
    names = [getattr(weight, "path", weight.name) for weight in layer.weights]
    assert len(set(names)) == len(names)


def test_batch_norm_takes_the_moments_of_all_replicas_where_there_are_several():
    assert [norm.synchronized for norm in Tower((8, 5))._norms] == [False, False]
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        assert [norm.synchronized for norm in Tower((8, 5))._norms] == [True, True]
