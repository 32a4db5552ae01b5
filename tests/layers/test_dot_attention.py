import numpy as np
import pytest

from layers import DotAttention


def softmax(values):
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("of_keys", "of_values"), [(6, 6), (1, 6), (6, 1), (1, 1)])
def test_row_by_row(scaled, of_keys, of_values):
    random = np.random.default_rng(0)
    queries, keys, values = (
        random.normal(size=shape).astype(np.float32) for shape in ((6, 4), (of_keys, 3, 4), (of_values, 3, 5))
    )
    found = DotAttention(scaled)([queries, keys, values])
    assert found.shape == (6, 5)
    for row in range(6):
        scores = keys[row % of_keys] @ queries[row] / (2 if scaled else 1)
        np.testing.assert_allclose(found[row], softmax(scores) @ values[row % of_values], rtol=1e-4, atol=1e-5)
