import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import export_small, users, write_items

from export.rest_example import rest_example
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import InputError
from prerank.preranker import PreRanker


def test_request_has_every_input_of_the_signature_and_the_answer_is_the_models(tmp_path):
    model = Artefact(export_small("hit", tmp_path / "out"))
    items = pq.read_table(write_items(tmp_path / "items.parquet", [1, 4]))
    asked = users(2)
    rows = [
        {name: user[name] for name in users(1)[0]} | item for user, item in zip(asked, items.to_pylist(), strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    request, answer = rest_example(model, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="rows.parquet: --rows 3: the file has only 2 rows"):
        rest_example(model, tmp_path / "rows.parquet", 3)
    signature = model.backend.loaded.signatures["serving_default"]
    for instance in json.loads(json.dumps(request))["instances"]:
        assert set(instance) == set(signature.structured_input_signature[1])
    build(model, tmp_path / "items.parquet", tmp_path / "index")
    ranker = PreRanker(model.folder, tmp_path / "index")
    expected = [ranker.score(user, [item]).scores[0] for user, item in zip(asked, [1, 4], strict=True)]
    np.testing.assert_allclose([row["logit"] for row in answer["predictions"]], expected, rtol=0, atol=1e-4)
