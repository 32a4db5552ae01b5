import numpy as np
import pytest
import tensorflow as tf

from layers import FieldCompressor

HEADS, FIELDS, WIDTH = 3, 4, 6


def made(units, channels):
    layer = FieldCompressor(HEADS, units, channels, seed=1)
    fields = np.random.default_rng(0).normal(size=(5, FIELDS, WIDTH)).astype(np.float32)
    return layer, fields, layer(tf.constant(fields)).numpy()


def expected(kernels, row, units):
    """The output (F, ...) of the fields of one row, by loops over channels, heads and layers."""
    size = WIDTH // len(kernels)
    found = {depth: np.zeros((FIELDS, len(kernels), HEADS, width)) for depth, width in enumerate(units)}
    for channel, kernel in enumerate(kernels):
        x = row[:, channel * size : (channel + 1) * size]
        for head, vector in enumerate(np.split(x.ravel() @ kernel, HEADS)):
            hidden, start = x, 0
            for depth, width in enumerate(units):
                weights = vector[start : start + hidden.shape[1] * width].reshape(hidden.shape[1], width)
                start += weights.size
                hidden = hidden @ weights
                found[depth][:, channel, head] = hidden
            assert start == len(vector)
    return np.concatenate([row, *(part.reshape(FIELDS, -1) for part in found.values())], axis=1)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("units", [(2, 1), (3,), (2, 3, 2)])
def test_output(units, channels):
    layer, fields, found = made(units, channels)
    assert found.shape == (5, FIELDS, WIDTH + channels * HEADS * sum(units))
    kernels = np.array(layer.kernels)
    np.testing.assert_allclose(found, [expected(kernels, row, units) for row in fields], rtol=1e-4, atol=1e-5)


def test_channels_that_do_not_divide_an_embedding():
    with pytest.raises(ValueError, match="channels must divide the size of an embedding, 6. Received: 4"):
        FieldCompressor(channels=4).build((None, FIELDS, WIDTH))
