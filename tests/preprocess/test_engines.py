"""Spark gives what DuckDB gives, in every file, row by row and column by column."""

import pytest
from engines_matrix import Case, assert_same

from preprocess import movielens, taobao
from preprocess.options import DataOptions
from preprocess.prepare import prepare

slow = pytest.mark.slow


def case(kind, *marks, **options):
    found = Case(kind, options)
    return pytest.param(found, marks=marks, id=str(found))


@pytest.mark.parametrize(
    "case",
    [
        case("ml-1m"),
        case("ml-1m", slow, split="user_time", state="frozen", max_history=3),
        case("ml-1m", slow, split="random", sample_rate=0.7, min_count=3),
        case("ml-1m", slow, leak=("target_mean",)),
        case("ml-1m", slow, leak=("history",), state="frozen"),
        case("ml-1m", slow, leak=("user_filter", "encoders", "scaler"), hash_buckets=10),
        case("ml-100k", slow, protocol="reference"),
        case("joined", slow, split="user_time", hash_buckets=5, min_count=2),
        case("taobao", max_history=5, min_count=2),
        case("taobao", slow, protocol="reference", hash_buckets=8),
        case("taobao", slow, state="frozen", sample_rate=0.6),
        case("taobao-gz", slow, split="user_time", negatives=1),
        case("taobao-clicks", slow, split="random", negatives=2),
        case("taobao-clicks", slow, protocol="reference", negatives=1),
        case("taobao-joined", slow, split="random"),
        case("amazon", slow),
        case("amazon", slow, protocol="reference"),
        case("amazon-ratings", slow, split="user_time", negatives=2),
        case("amazon-csv", slow, state="frozen"),
        case("own-csv", slow, split="random"),
        case("own-positives", slow, negatives=3, hash_buckets=20, max_history=4),
        case("own-recflow", slow),
        case("own-kuairec", slow),
        case("own-requests", slow),
        case("own-requests", slow, protocol="reference"),
        case("own-requests", slow, split="user_time", state="frozen", negatives=2),
        case("own-parquet", slow, negatives=2, hash_buckets=9),
        case("own-parquet", slow, protocol="reference"),
        case("own-parquet", slow, split="user_time", state="frozen", min_count=2),
    ],
)
def test_all_files_are_the_same(case, small, spark, tmp_path):
    expected, found = case.prepare(tmp_path, small, "duckdb", "spark")
    assert_same(found, expected)


@pytest.mark.parametrize("share", [pytest.param(0.1, marks=slow), pytest.param(1.0, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("movielens-1m", {}),
        ("movielens-1m", {"protocol": "reference"}),
        ("taobao/raw-sample", {"split": "random"}),
        ("taobao/clicks-5core", {"split": "random", "negatives": 1}),
        ("taobao/alimama-joined-sample", {"split": "random"}),
    ],
)
def test_real_data_too(real_data, spark, tmp_path, folder, options, share):
    """The whole files are read; the long tests also prepare all users of them."""
    adapter = taobao.ADAPTER if folder.startswith("taobao") else movielens.ADAPTER
    asked = {"data_path": real_data / folder, "sample_rate": share, **options}
    found = [
        prepare(adapter, DataOptions(engine=engine, prepared_dir=tmp_path / engine, **asked), lambda line: None)
        for engine in ("duckdb", "spark")
    ]
    assert_same(*found)
