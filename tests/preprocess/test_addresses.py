"""Raw data at the address of an object store: here fsspec's in memory."""

import importlib.util

import pytest
from pydantic import ValidationError

from preprocess import amazon, movielens
from preprocess.addresses import is_address, located
from preprocess.generate.amazon import generate as generate_amazon
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError

fsspec = pytest.importorskip("fsspec", reason="needs pip install -r requirements-spark.txt")
pytest.importorskip("upath", reason="needs pip install -r requirements-spark.txt")


def put(folder, name):
    files = fsspec.filesystem("memory")
    for path in folder.iterdir():
        if path.is_file():
            files.pipe(f"/{name}/{path.name}", path.read_bytes())
    return f"memory://{name}"


def prepared(adapter, data_path, out, options=DataOptions):
    return prepare(adapter, options(data_path=data_path, prepared_dir=out), lambda line: None)


def test_a_local_path_stays_one(tmp_path):
    for place in (tmp_path, str(tmp_path), "ml-1m"):
        assert type(located(place)) is type(tmp_path)
        assert not is_address(located(place))
    options = DataOptions(data_path="memory://x/y")
    assert is_address(options.data_path)
    assert options.model_dump(mode="json")["data_path"] == "memory://x/y"
    assert DataOptions.model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_same_files_elsewhere_are_the_same_data(small, tmp_path, suffix):
    raw = small.write_ml_1m(tmp_path / "raw", suffix=suffix)
    local = prepared(movielens.ADAPTER, raw, tmp_path / "out")
    elsewhere = prepared(movielens.ADAPTER, put(raw, f"ml{suffix}"), tmp_path / "other")
    assert elsewhere.manifest == local.manifest


def test_objects_elsewhere(tmp_path):
    generate_amazon(tmp_path / "raw", rows=1_500, seed=1)
    found = prepared(amazon.Amazon(), put(tmp_path / "raw", "amazon"), tmp_path / "out", amazon.AmazonOptions)
    assert sum(found.rows(part) for part in ("train", "validation", "test")) == 1_500


def test_what_is_wrong_is_named_by_its_address(small, tmp_path):
    raw = small.write_ml_1m(tmp_path / "raw")
    (raw / "users.dat").write_text("1::M\n")
    with pytest.raises(InputError, match=r"memory://.*users\.dat, line 1: 5 columns expected"):
        prepared(movielens.ADAPTER, put(raw, "wrong"), tmp_path / "out")
    with pytest.raises(InputError, match="memory://nowhere: no such folder or file"):
        prepared(movielens.ADAPTER, "memory://nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_missing_package_is_said():
    with pytest.raises(ValidationError, match="an address needs .* and the package of its store .*s3fs"):
        DataOptions(data_path="s3://bucket/folder")
