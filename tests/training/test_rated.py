"""What metrics of rated rows see of a prepared part: rows with a label, weighted."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import SPEC

from features import UNLABELLED
from preprocess.prepared import FORMAT_VERSION, MANIFEST, PreparedData
from training import metrics
from training.rated import Rated

ROWS = 400


@pytest.fixture(params=[(), ("stage", "weight")], ids=["plain", "weighted"])
def part(request, tmp_path):
    """A prepared validation part of labels, users and weights, and its table."""
    random = np.random.default_rng(2)
    table = {
        "label": random.choice([UNLABELLED, 0, 1], ROWS).astype(np.int8),
        "group": random.integers(0, 20, ROWS).astype(np.int32),
    }
    if request.param:
        table |= {"stage": np.ones(ROWS, np.int8), "weight": random.gamma(1.0, 1.0, ROWS).astype(np.float32)}
    for name in ("train", "validation", "test"):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(table), tmp_path / name / "part-00000.parquet")
    manifest = {
        "format_version": FORMAT_VERSION,
        "fingerprint": "0",
        "notes": [],
        "spec": SPEC.to_dict() | {"row_columns": list(request.param)},
        "training_mean_label": 0.5,
        "parts": {name: {"rows": ROWS, "positives": 1} for name in ("train", "validation", "test")},
        "out_of_vocabulary": {},
    }
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    return PreparedData.open(tmp_path), table


def test_rows_with_a_label_count_by_their_weight(part):
    data, table = part
    logits = np.random.default_rng(3).normal(size=ROWS).astype(np.float32)
    labelled = table["label"] != UNLABELLED
    chosen = np.arange(ROWS) % 3 > 0
    for rows, found in (
        (labelled, Rated.read(data, "validation").evaluate(logits)),
        (labelled & chosen, Rated.read(data, "validation").evaluate(logits, chosen)),
    ):
        weights = table["weight"][rows] if "weight" in table else None
        expected = metrics.evaluate(
            table["label"][rows], logits[rows], table["group"][rows], weights=weights, logits=True
        )
        assert found == expected
        assert found["rows"] == rows.sum()
