"""What an index of fewer bits is compared by."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from prerank.agreement import _first_rows, auc


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 3 / 4),
        ([0, 1], [2.0, 2.0], 1 / 2),
        ([0, 1, 1], [5.0, 5.0, 6.0], 3 / 4),
        ([1, 0], [0.0, 1.0], 0),
        ([0, 1, 0, 1, 0], [1.0, 1.0, 1.0, 0.0, -1.0], (1 + 2 / 2 + 1) / 6),
    ],
)
def test_auc_by_hand(labels, scores, expected):
    assert auc(np.array(labels), np.array(scores, np.float32)) == pytest.approx(expected, abs=1e-12)


def test_auc_against_a_library():
    random = np.random.default_rng(0)
    for levels in (2, 5, 10**9):
        scores = random.integers(0, levels, 3000).astype(np.float32)
        labels = (random.random(3000) < 0.3).astype(np.int64)
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


class _Model:
    features = {"specification": {"user_id": "user"}}


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_each_user_counts_once(kind):
    users = pa.array([7, 7, 3, None, 3, 7, None, 1]).cast(kind)
    assert _first_rows(_Model, pa.table({"user": pa.chunked_array([users[:3], users[3:]])})) == [0, 2, 3, 7]
