"""Generated data have a data set name of their own, however they are named, and real data keep theirs."""

import gzip
import hashlib
import json
import shutil

import pytest

from preprocess import movielens, taobao
from preprocess.amazon import Amazon, AmazonOptions
from preprocess.generate import generator, names
from preprocess.generated import MARKER, TRUE_PROBABILITIES, Generated, without_suffix
from preprocess.options import DataOptions
from preprocess.prepare import prepare

_MAIN_FILE = {
    "amazon": "reviews_Electronics_5.json.gz",
    "movielens": "ratings.dat",
    "taobao": "raw_sample.csv",
}
_ADAPTERS = {"amazon": Amazon(), "movielens": movielens.ADAPTER, "taobao": taobao.ADAPTER}
_NAMES = {"amazon": "amazon_electronics", "movielens": "movielens", "taobao": "taobao"}


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder of each data set that can be generated."""
    folder = tmp_path_factory.mktemp("generated")
    for name in names():
        generator(name).generate(folder / name, rows=2_000, seed=3)
    return folder


def _prepare(name, data_path, tmp_path, **options):
    kind = AmazonOptions if name == "amazon" else DataOptions
    options = kind(data_path=data_path, prepared_dir=tmp_path / "prepared", **options)
    return prepare(_ADAPTERS[name], options, lambda line: None)


@pytest.mark.parametrize("name", names())
def test_what_is_prepared_from_generated_files_says_so(generated, tmp_path, name):
    prepared = _prepare(name, generated / name, tmp_path)
    assert prepared.spec.dataset == f"{_NAMES[name]}_generated"
    assert prepared.path.parent.name == f"{_NAMES[name]}_generated"
    real = tmp_path / "real"
    shutil.copytree(generated / name, real)
    for mark in (MARKER, TRUE_PROBABILITIES):
        (real / mark).unlink()
    as_real = _prepare(name, real, tmp_path)
    assert as_real.spec.dataset == _NAMES[name]
    assert as_real.raw_data == prepared.raw_data
    assert as_real.fingerprint != prepared.fingerprint


@pytest.mark.parametrize("mark", [MARKER, TRUE_PROBABILITIES])
def test_either_mark_is_enough(generated, tmp_path, mark):
    shutil.copytree(generated / "taobao", tmp_path / "raw")
    (tmp_path / "raw" / mark).unlink()
    assert _prepare("taobao", tmp_path / "raw", tmp_path).spec.dataset == "taobao_generated"


def test_a_link_or_a_single_file_is_generated_too(generated, tmp_path):
    reviews = generated / "amazon" / _MAIN_FILE["amazon"]
    assert _prepare("amazon", reviews, tmp_path).spec.dataset == "amazon_electronics_generated"
    (tmp_path / "linked").mkdir()
    for name in ("ratings.dat", "users.dat", "movies.dat"):
        (tmp_path / "linked" / name).symlink_to(generated / "movielens" / name)
    assert _prepare("movielens", tmp_path / "linked", tmp_path).spec.dataset == "movielens_generated"


def test_packed_generated_files_are_generated_too(generated, tmp_path):
    shutil.copytree(generated / "movielens", tmp_path / "raw")
    plain = tmp_path / "raw" / "ratings.dat"
    plain.with_name("ratings.dat.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert _prepare("movielens", tmp_path / "raw", tmp_path).spec.dataset == "movielens_generated"


def test_the_fingerprint_of_real_data_is_what_it_was(generated, tmp_path):
    real = tmp_path / "real"
    shutil.copytree(generated / "movielens", real, ignore=shutil.ignore_patterns(MARKER, TRUE_PROBABILITIES))
    roles = {"ratings": "ratings.dat", "users": "users.dat", "movies": "movies.dat"}
    depends = {
        "format_version": 1,
        "dataset": "movielens",
        "raw_files": {
            role: {
                "name": name,
                "sha256": hashlib.sha256((real / name).read_bytes()).hexdigest(),
                "bytes": (real / name).stat().st_size,
            }
            for role, name in roles.items()
        },
        "options": {
            "protocol": "strict", "split": "time", "state": "online", "leaks": [], "max_history": 50,
            "sample_rate": 1.0,
        },
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    assert _prepare("movielens", real, tmp_path).fingerprint == digest[:16]


def test_names_go_both_ways():
    for adapter in _ADAPTERS.values():
        assert without_suffix(Generated(adapter).name) == adapter.name
        assert without_suffix(adapter.name) == adapter.name
