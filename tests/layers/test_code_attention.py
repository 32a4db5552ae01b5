import numpy as np
import tensorflow as tf

from layers import CodeAttention


def softmax(values):
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


def make():
    layer = CodeAttention(3, 5, seed=1)
    layer.build([(None, 6, 4), (None, 6)])
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def test_each_row_by_itself_and_without_what_is_masked():
    layer = make()
    fields = np.random.default_rng(0).normal(size=(7, 6, 4)).astype(np.float32)
    mask = np.arange(6) < np.arange(7)[:, np.newaxis]
    fields[~mask] += 100  # no masked field may count, however large
    kernel, bias = (np.array(weight) for weight in layer._project.weights)
    found = layer([tf.constant(fields), tf.constant(mask)]).numpy()
    assert np.all(found[0] == 0)
    for row in range(1, 7):
        keys = fields[row][mask[row]] @ kernel + bias
        for code, query in enumerate(np.array(layer.code_matrix)):
            expected = softmax(keys @ query / np.sqrt(5)) @ keys
            np.testing.assert_allclose(found[row, code], expected, rtol=1e-3, atol=1e-4)
    alone = layer([tf.constant(fields[2:3]), tf.constant(mask[2:3])])
    np.testing.assert_allclose(alone, found[2:3], rtol=1e-5, atol=1e-6)
