import numpy as np
import pytest
import tensorflow as tf

from layers import LabelAwareAttention


def vectors():
    random = np.random.default_rng(0)
    return random.normal(size=(5, 3, 4)).astype(np.float32), random.normal(size=(5, 4)).astype(np.float32)


@pytest.mark.parametrize("power", [0.0, 1.5, 20.0])
def test_value(power):
    interests, item = vectors()
    found = LabelAwareAttention(power)([tf.constant(interests), tf.constant(item)]).numpy()
    for row in range(5):
        cosines = [v @ item[row] / np.linalg.norm(v) / np.linalg.norm(item[row]) for v in interests[row]]
        weights = np.exp(power * np.array(cosines))
        np.testing.assert_allclose(found[row], weights / weights.sum() @ interests[row], rtol=1e-4)


def test_a_large_power_picks_the_closest():
    interests, item = vectors()
    found = LabelAwareAttention(1e6)([tf.constant(interests), tf.constant(item)]).numpy()
    cosines = np.einsum("bkd,bd->bk", interests / np.linalg.norm(interests, axis=2, keepdims=True), item)
    np.testing.assert_allclose(found, interests[np.arange(5), cosines.argmax(axis=1)], rtol=1e-5)
