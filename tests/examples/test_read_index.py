"""`examples/read_index.py` and the library read the same index, and answer the same."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from artefacts import raw_user, users, write_items

from prerank import index
from prerank.artefact import Artefact
from prerank.build_index import build, remove_items
from prerank.preranker import PreRanker

SCRIPT = Path(__file__).parents[2] / "examples" / "read_index.py"
OLD = Path(__file__).parents[1] / "old_export" / "out"


@pytest.fixture(scope="module")
def reader():
    spec = importlib.util.spec_from_file_location("read_index", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
    return Artefact(OLD)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_arrays_attributes_and_removed_items(reader, model, dtype, tmp_path):
    ids = list(range(1, 90, 2))
    items = write_items(tmp_path / "items.parquet", ids)
    build(model, items, tmp_path / "index", dtype, attributes=["movie_id", "genres", "item_mean_rating"])
    remove_items(model, tmp_path / "index", np.array(ids[3:5]))
    found = reader.read_index(tmp_path / "index")
    version, states = index.read(tmp_path / "index", model.fingerprint)
    assert found["version"] == version == "v000002"
    assert found["ids"].tolist() == states.ids.tolist() == ids
    for name, array in states.arrays.items():
        np.testing.assert_array_equal(found["arrays"][name], array.read(slice(None)))
    for name, attribute in states.attributes.items():
        for part in ("values", "codes", "offsets"):
            if getattr(attribute, part) is not None:
                np.testing.assert_array_equal(found["attributes"][name][part], getattr(attribute, part))
    assert np.flatnonzero(~found["live"]).tolist() == [3, 4]


def test_the_best_items_are_those_of_the_library(reader, model):
    ranker = PreRanker(OLD)
    names = [field["name"] for field in model.inputs("user")]
    for user in users(4, seed=2):
        raw = raw_user(user)
        (state,) = model.user_tower([raw[name] for name in names]).values()
        expected = ranker.top(user, 12)
        found = reader.top(OLD, state[0], 12)
        assert [item for item, _ in found] == expected.ids.tolist()
        np.testing.assert_allclose([logit for _, logit in found], expected.scores, rtol=0, atol=1e-5)


def test_the_script(reader, model, capsys):
    reader.main(str(OLD))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "v000002: 198 items, vectors"
    assert len(said) == 4


def test_texts_are_read(reader, tmp_path):
    np.save(tmp_path / "texts.npy", np.array(["a", "größer", ""]))
    assert reader.read_npy((tmp_path / "texts.npy").read_bytes()).tolist() == ["a", "größer", ""]
