import numpy as np
import pytest
import tensorflow as tf

from layers import CategoryAlignmentLoss


def expected(vectors, categories):
    found = {category: vectors[categories == category] for category in np.unique(categories) if category != 0}
    found = {category: np.cov(rows.T, bias=True) for category, rows in found.items() if len(rows) >= 2}
    if not found:
        return 0.0
    largest = max(found, key=lambda category: (np.sum(categories == category), -category))
    return sum(np.sum((covariance - found[largest]) ** 2) for covariance in found.values())


def call(vectors, categories):
    return float(CategoryAlignmentLoss()([tf.constant(vectors, tf.float32), tf.constant(categories, tf.int32)]))


@pytest.mark.parametrize(
    "categories",
    [
        [3, 3, 3, 3, 9, 9, 9, 4, 4, 7],
        [9, 4, 9, 4, 9, 4, 3, 3, 3, 2],  # three of the largest size
        [0, 0, 0, 0, 0, 8, 8, 5, 5, 5],  # 0 is no category, however large
    ],
)
def test_value(categories):
    vectors = np.random.default_rng(0).normal(size=(10, 4))
    value = expected(vectors, np.array(categories))
    assert value > 0.1
    assert call(vectors, categories) == pytest.approx(value, rel=1e-4)
    order = np.random.default_rng(1).permutation(10)
    assert call(vectors[order], np.array(categories)[order]) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("categories", [[0] * 5, [5] * 5, [1, 2, 3, 4, 5], [6, 6, 6, 6, 2], [0, 0, 0, 0, 3]])
def test_nothing_to_align_gives_0(categories):
    vectors = tf.Variable(np.random.default_rng(0).normal(size=(5, 4)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = CategoryAlignmentLoss()([vectors, tf.constant(categories)])
    assert float(loss) == 0
    assert np.all(tape.gradient(loss, vectors).numpy() == 0)


def test_gradient():
    vectors, categories = np.random.default_rng(0).normal(size=(8, 3)), np.array([1, 1, 1, 2, 2, 0, 3, 3])
    variable = tf.Variable(vectors, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = CategoryAlignmentLoss()([variable, tf.constant(categories)])
    numeric = np.zeros_like(vectors)
    for place in np.ndindex(vectors.shape):
        step = np.zeros_like(vectors)
        step[place] = 1e-5
        numeric[place] = (expected(vectors + step, categories) - expected(vectors - step, categories)) / 2e-5
    np.testing.assert_allclose(tape.gradient(loss, variable), numeric, rtol=1e-3, atol=1e-4)
