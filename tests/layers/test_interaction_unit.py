import numpy as np
import pytest
import tensorflow as tf

from layers import InteractionUnit

WIDTH, UNITS = 4, 5


def make(pool):
    layer = InteractionUnit(pool, UNITS, seed=1)
    layer.build([(None, 3, WIDTH), (None, 6, WIDTH), (None, 6)])
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def batch(rows=7, queries=3, length=6):
    random = np.random.default_rng(0)
    elements = random.normal(size=(rows, length, WIDTH)).astype(np.float32)
    return random.normal(size=(rows, queries, WIDTH)).astype(np.float32), elements


def weight(layer, query, element):
    kernel, bias, output, output_bias = (np.array(value) for value in layer.weights)
    joined = np.concatenate([query, element, query - element, query * element])
    return (np.maximum(joined @ kernel + bias, 0) @ output + output_bias)[0]


def test_weighted_elements():
    layer, (queries, elements) = make(pool=False), batch()
    found = layer([queries, elements]).numpy()
    assert found.shape == (7, 3, 6, WIDTH)
    for row, query, place in np.ndindex(7, 3, 6):
        element = elements[row, place]
        expected = weight(layer, queries[row, query], element) * element
        np.testing.assert_allclose(found[row, query, place], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("as_numbers", [False, True])
def test_masked_sum(as_numbers):
    layer, (queries, elements) = make(pool=True), batch()
    mask = np.arange(6) < np.arange(7)[:, np.newaxis]
    found = layer([queries, elements, tf.constant(mask, tf.float32) if as_numbers else tf.constant(mask)]).numpy()
    assert found.shape == (7, 3, WIDTH)
    assert np.all(found[0] == 0)
    for row, query in np.ndindex(7, 3):
        filled = elements[row][mask[row]]
        expected = sum((weight(layer, queries[row, query], element) * element for element in filled), np.zeros(WIDTH))
        np.testing.assert_allclose(found[row, query], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", [False, True])
def test_queries_of_all_rows(pool):
    layer, (queries, elements) = make(pool), batch()
    once = layer([queries[:1], elements])
    np.testing.assert_allclose(once, layer([np.repeat(queries[:1], 7, axis=0), elements]), rtol=1e-5, atol=1e-6)


def test_no_elements_at_all():
    layer, (queries, elements) = make(pool=True), batch()
    assert np.all(layer([queries, elements[:, :0], np.zeros((7, 0), bool)]).numpy() == 0)
