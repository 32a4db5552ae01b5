"""The committed export and index of version 0.1.0: served as they were, and a newer format refused in one line."""

import json
import shutil
from pathlib import Path

import pytest

from prerank.artefact import Artefact
from prerank.description import to_text
from prerank.errors import ArtefactError, InputError
from prerank.preranker import PreRanker

OLD = Path(__file__).parents[1] / "old_export"
ASKED = {"n": 8, "filter": {"genres": {"not": ["War"]}}, "value": "movie_id", "at_most": {"genres": 4}}


@pytest.fixture
def old(tmp_path):
    return shutil.copytree(OLD / "out", tmp_path / "out")


def test_it_is_served_as_it_was(old):
    pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
    ranker = PreRanker(old)
    for one in json.loads((OLD / "answers.json").read_text()):
        found, expected = ranker.top(one["user"], **ASKED).to_dict(), one["answer"]
        assert found["index"] == expected["index"]
        assert [item["id"] for item in found["items"]] == [item["id"] for item in expected["items"]]
        for item, other in zip(found["items"], expected["items"], strict=True):
            assert item == pytest.approx(other, rel=1e-5)


def test_it_says_of_what_format_it_is():
    assert json.loads((OLD / "out" / "features.json").read_text())["format_version"] == 1
    assert json.loads((OLD / "out" / "index" / "v000002" / "manifest.json").read_text())["format"] == 3


@pytest.mark.parametrize(
    ("file", "key", "version", "message"),
    [
        ("features.json", "format_version", 2, "format version 2, and this prerank reads up to 1: install a newer"),
        ("index/v000002/manifest.json", "format", 4, "index format 2 or 3 expected, build it again. Received: 4"),
    ],
)
def test_a_newer_format_is_refused_in_one_line(file, key, version, message, old):
    values = json.loads((old / file).read_text()) | {key: version}
    text = json.dumps(values, indent=2) + "\n"
    if file == "features.json":
        text = to_text(values)
    (old / file).write_text(text)
    with pytest.raises((ArtefactError, InputError), match=message) as error:
        PreRanker(old)
    assert "\n" not in str(error.value)


def test_it_is_small_and_holds_no_data():
    assert not list(OLD.rglob("*.parquet"))
    assert sum(path.stat().st_size for path in OLD.rglob("*") if path.is_file()) < 160_000
    assert Artefact(OLD / "out").name == "dssm"
