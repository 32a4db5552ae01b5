"""Lengths of vectors, down to those that are too short to be scaled to 1."""

import numpy as np

from prerank.kernels.states import norm, unit


def test_a_vector_counts_as_at_least_a_thousandth_long():
    vectors = np.array([[3.0, 4.0], [0.002, 0.0], [0.0, 1e-3], [6e-4, 8e-5], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(norm(vectors), [5, 0.002, 1e-3, 1e-3, 1e-3], rtol=1e-5)
    expected = [[0.6, 0.8], [1, 0], [0, 1], [0.6, 0.08], [0, 0]]
    np.testing.assert_allclose(unit(vectors), expected, rtol=1e-5, atol=1e-7)
    assert unit(vectors).dtype == np.float32
    np.testing.assert_allclose(unit(vectors[np.newaxis, 1])[0], [1, 0], atol=1e-6)
