import numpy as np
import pytest

from layers import ParallelDense


@pytest.mark.parametrize("activation", [None, "relu"])
def test_every_vector_has_its_own_layer(activation):
    layer, vectors = ParallelDense(5, activation, seed=1), np.random.default_rng(0).normal(size=(6, 3, 4))
    layer.build((None, 3, 4))
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    kernels, biases = (np.array(weight) for weight in layer.weights)
    found = layer(vectors.astype(np.float32)).numpy()
    assert found.shape == (6, 3, 5)
    for place in range(3):
        expected = vectors[:, place] @ kernels[place] + biases[place]
        expected = expected if activation is None else np.maximum(expected, 0)
        np.testing.assert_allclose(found[:, place], expected, rtol=1e-4, atol=1e-5)


def test_initial_weights():
    layer = ParallelDense(40, seed=1)
    layer.build((None, 3, 20))
    kernels, biases = (np.array(weight) for weight in layer.weights)
    assert np.abs(kernels).max() == pytest.approx(np.sqrt(6 / 60), rel=1e-2)
    assert not np.any(biases)
