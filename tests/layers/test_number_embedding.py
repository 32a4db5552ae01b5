import numpy as np

from layers import NumberEmbedding


def test_a_number_times_its_vector():
    layer, numbers = NumberEmbedding(4, seed=1), np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    found, vectors = layer(numbers).numpy(), np.array(layer.weights[0])
    assert found.shape == (6, 3, 4)
    for row, column in np.ndindex(6, 3):
        np.testing.assert_allclose(found[row, column], numbers[row, column] * vectors[column], rtol=1e-5)
