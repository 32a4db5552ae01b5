import numpy as np
import tensorflow as tf

from layers import NumberEmbedding


def test_value():
    layer = NumberEmbedding(4, stddev=0.5)
    numbers = np.array([[1.0, -2.0, 0.0], [0.5, 3.0, 1.0]], np.float32)
    fields = layer(tf.constant(numbers)).numpy()
    vectors = np.array(layer.vectors)
    for row in range(2):
        for number in range(3):
            np.testing.assert_allclose(fields[row, number], numbers[row, number] * vectors[number], rtol=1e-6)


def test_initial_values_are_given_by_the_seed():
    first, same, other = (NumberEmbedding(400, stddev=0.2, seed=seed) for seed in (1, 1, 2))
    for layer in (first, same, other):
        layer.build((None, 3))
    np.testing.assert_array_equal(first.vectors, same.vectors)
    assert not np.allclose(first.vectors, other.vectors)
    np.testing.assert_allclose(np.std(first.vectors), 0.2, rtol=0.1)
