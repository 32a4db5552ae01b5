"""Files that the preparation reads beside the raw ones, damaged: its own, and schemas that people write."""

import shutil

import pytest
import yaml
from damaged import EXAMPLES, damaged_json, survives

from preprocess import schema
from preprocess.http_files import _so_far, _source
from preprocess.prepared import PreparedData

pytestmark = pytest.mark.parametrize("examples", EXAMPLES)


def test_manifest_of_prepared_data(prepared, tmp_path, examples):
    prepared = prepared()
    place = tmp_path / "prepared"
    shutil.copytree(prepared.path, place)
    manifest = place / "manifest.json"
    assert PreparedData.open(place) == PreparedData(place, prepared.spec, prepared.manifest)

    def read(damaged):
        manifest.write_bytes(damaged)
        found = PreparedData.open(place)
        assert found.rows("train") > 0
        assert found.fingerprint

    survives(damaged_json(prepared.manifest), read, examples)


def test_source_of_a_part(tmp_path, examples):
    part = tmp_path / "part"
    part.write_bytes(b"123")

    def read(damaged):
        _source(part).write_bytes(damaged)
        have, validator = _so_far("http://x/y", part)
        assert have in (0, 3)
        assert isinstance(validator, str)

    whole = {"url": "http://x/y", "validator": '"tag"'}
    seen = survives(damaged_json(whole), read, examples, refused=False)
    assert not seen["refused"]  # a damaged one is as good as none: the file is fetched anew


def test_schema(tmp_path, examples):
    whole = {
        "dataset": "movies",
        "fields": {
            "user_id": {"side": "user", "type": "int64", "column": "user"},
            "movie_id": {"side": "item"},
            "genres": {"side": "item", "kind": "sequence", "separator": "|", "vocabulary": "genres"},
            "price": {"side": "item", "kind": "dense"},
        },
        "user_id": "user_id",
        "item_id": "movie_id",
        "static": ["genres"],
        "history": "hist",
        "label": {"column": "rating", "positive_from": 3.5, "leave_out": [3.0]},
        "time": "timestamp",
        "utc_offset": 1,
        "files": {"rows": "rows.csv", "items": "items.csv"},
        "delimiter": ";",
    }
    file = tmp_path / "schema.yaml"
    file.write_text(yaml.safe_dump(whole))
    assert schema.load(file).spec().history == "hist"

    def read(damaged):
        file.write_bytes(damaged)
        schema.load(file).spec()

    survives(damaged_json(whole, yaml.safe_dump), read, examples)
