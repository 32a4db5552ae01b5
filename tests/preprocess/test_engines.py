"""Spark prepares the same files as DuckDB, row by row."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from taobao_files import make, without_log

from errors import InputError
from preprocess import amazon, movielens, taobao
from preprocess.engines import EngineOptions
from preprocess.generate.amazon import generate as generate_amazon
from preprocess.options import DataOptions
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare

ROOT = Path(__file__).parents[2]
HAVE_JAVA = bool(shutil.which("java") or "JAVA_HOME" in os.environ)
HAVE_SPARK = importlib.util.find_spec("pyspark") is not None
pytestmark = pytest.mark.skipif(
    not (HAVE_JAVA and HAVE_SPARK), reason="needs Java and pip install -r requirements-spark.txt"
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session that all engines of this module take, as starting one takes seconds."""
    from preprocess.engines import spark_session

    spill = tmp_path_factory.mktemp("spark")
    conf = (("spark.sql.shuffle.partitions", "3"),)
    session = spark_session.started(EngineOptions(spill, spark_master="local[2]", spark_conf=conf))
    yield session
    spark_session.stopped(session, spill)


@pytest.fixture(scope="module")
def amazon_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("amazon") / "raw"
    generate_amazon(folder, rows=1_500, seed=1)
    return folder


@pytest.fixture
def both(spark, tmp_path):
    """A function that prepares the same with both engines, and compares all that is written."""

    def compare(adapter, options=DataOptions, **asked):
        folders = []
        for engine in ("duckdb", "spark"):
            place = tmp_path / engine
            found = prepare(adapter, options(engine=engine, prepared_dir=place, **asked), lambda line: None)
            folders.append(found.path)
            assert not list(place.rglob(".unfinished-*"))
        duckdb, other = folders
        assert duckdb.name == other.name
        names = sorted(path.relative_to(duckdb) for path in duckdb.rglob("*") if path.is_file())
        assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
        assert json.loads((duckdb / "manifest.json").read_text()) == json.loads((other / "manifest.json").read_text())
        for name in names:
            if name.suffix == ".parquet":
                expected, found = pq.read_table(duckdb / name), pq.read_table(other / name)
                assert found.schema == expected.schema, name
                assert found.equals(expected), name
        return pq.read_table(sorted((duckdb / "train").glob("*.parquet")))

    return compare


def test_movielens(both, ml_1m):
    assert max(len(row) for row in both(movielens.ADAPTER, data_path=ml_1m)["user_hist"].to_pylist()) > 5


def test_taobao_with_behaviours_small_vocabularies_and_hashed_ids(both, tmp_path):
    raw = make().write(tmp_path / "raw", ".gz")
    rows = both(taobao.ADAPTER, data_path=raw, max_history=7, hash_buckets=30, min_count=2, sample_rate=0.8)
    assert max(len(row) for row in rows["hist_btag"].to_pylist()) == 7


def test_amazon(both, amazon_folder):
    both(amazon.Amazon(), amazon.AmazonOptions, data_path=amazon_folder, split="user_time", state="frozen")


@pytest.mark.slow
def test_own_data(both, small, tmp_path):
    schema = tmp_path / "schema.yaml"
    schema.write_text(yaml.safe_dump(OWN))
    data = small.write_joined(tmp_path / "joined.csv")
    both(NoSchema(), OwnDataOptions, data_path=data, schema=schema, split="random", negatives=2)


OWN = {
    "dataset": "movies",
    "user_id": "user_id",
    "item_id": "movie_id",
    "time": {"column": "timestamp", "unit": "ms"},
    "fields": {
        "user_id": {"side": "user"},
        "gender": {"side": "user"},
        "movie_id": {"side": "item", "type": "int64"},
        "genres": {"side": "item", "kind": "sequence", "separator": "|"},
        "year": {"side": "item", "kind": "dense", "column": "movie_id"},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"split": "random"}, {"state": "frozen"}, {"protocol": "reference"}, {"negatives": 1}], ids=str
)
@pytest.mark.parametrize("dataset", ["movielens", "taobao", "taobao without log", "amazon"])
def test_every_protocol(both, ml_1m, amazon_folder, tmp_path, dataset, options):
    if dataset == "movielens":
        both(movielens.ADAPTER, data_path=ml_1m, **options)
    elif dataset == "amazon":
        both(amazon.Amazon(), amazon.AmazonOptions, data_path=amazon_folder, **options)
    else:
        data = make() if dataset == "taobao" else without_log(make())
        both(taobao.ADAPTER, data_path=data.write(tmp_path / "raw"), **options)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"protocol": "reference"}], ids=str)
def test_real_movielens(both, real_data, options):
    both(movielens.ADAPTER, data_path=real_data / "movielens-1m", **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raw-sample", "clicks-5core", "alimama-joined-sample"])
def test_real_taobao(both, real_data, name):
    asked = {"split": "random", "negatives": 1 if name == "clicks-5core" else 0}
    both(taobao.ADAPTER, data_path=real_data / "taobao" / name, **asked)


BAD = [
    ("ratings.dat", 9, "1::2::5::978300760::x", "line 9: 4 columns expected"),
    ("ratings.dat", 7, "1::2::4.5::978300760", "line 7: rating has to be an integer. Received: '4.5'"),
    ("ratings.dat", 11, "777::2::5::978300760", "line 11: user_id 777 is not in users.dat"),
    ("users.dat", 2, "1::F::1::10::48067", "line 2: user_id 1 is already on line 1"),
]


@pytest.mark.parametrize(("name", "line", "text", "message"), BAD)
def test_bad_input_gives_the_same_line(spark, small, tmp_path, name, line, text, message):
    raw = small.write_ml_1m(tmp_path / "raw")
    lines = (raw / name).read_bytes().split(b"\n")
    lines[line - 1] = text.encode()
    (raw / name).write_bytes(b"\n".join(lines))
    said = []
    for engine in ("duckdb", "spark"):
        with pytest.raises(InputError) as caught:
            prepare(
                movielens.ADAPTER,
                DataOptions(data_path=raw, prepared_dir=tmp_path / "out", engine=engine),
                lambda line: None,
            )
        said.append(str(caught.value))
        assert not (tmp_path / "out").exists()
    assert message in said[0]
    assert said[0] == said[1]


def test_lines_keep_their_numbers_across_the_blocks_of_a_file(spark, tmp_path):
    from preprocess.engines.spark import SparkEngine

    raw = tmp_path / "numbers.csv"
    raw.write_text("n,text\n" + "".join(f'{number},"a, b"\n' for number in range(5_000)))
    spark.conf.set("spark.sql.files.maxPartitionBytes", "9000")
    try:
        (tmp_path / "spill").mkdir()
        with SparkEngine(EngineOptions(tmp_path / "spill")) as engine:
            lines = engine.read(raw, ["n", "text"], delimiter=",", quote='"', encoding="utf-8", header=True)
            numbered = engine.save_numbered(lines.select("n", text=lines.text.upper()))
            found = engine.table(numbered.order_by("row"))
        assert found["n"].to_pylist() == [str(number) for number in range(5_000)]
        assert found["row"].to_pylist() == list(range(5_000))
        assert found["text"][7].as_py() == "A, B"
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")


@pytest.mark.slow
def test_the_script_prepares_with_spark_and_another_engine_reuses_it(tmp_path, small):
    raw = small.write_ml_1m(tmp_path / "ml 1m", suffix=".gz")
    script = [sys.executable, str(ROOT / "train_movielens_whole_models.py"), "--data_path", str(raw)]
    script += ["--prepared_dir", str(tmp_path / "prepared"), "--prepare_only"]
    flags = ["--engine", "spark", "--spark_master", "local[2]", "--spark_conf", "spark.sql.shuffle.partitions=2"]
    first = subprocess.run([*script, *flags], capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stderr
    assert "prepared train" in first.stdout
    assert "Warning" not in first.stderr
    assert "reusing" in subprocess.run(script, capture_output=True, text=True, timeout=100, check=True).stdout


def test_a_damaged_file_is_named(spark, tmp_path, small):
    raw = small.write_ml_1m(tmp_path / "raw", suffix=".gz")
    whole = (raw / "ratings.dat.gz").read_bytes()
    (raw / "ratings.dat.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"ratings\.dat\.gz: damaged or truncated gzip file"):
        prepare(movielens.ADAPTER, DataOptions(data_path=raw, engine="spark", prepared_dir=tmp_path / "out"))


def test_no_java_is_said_in_one_line(tmp_path, small):
    raw = small.write_ml_1m(tmp_path / "raw")
    script = [sys.executable, str(ROOT / "train_movielens_whole_models.py"), "--data_path", str(raw)]
    script += ["--engine", "spark", "--prepared_dir", str(tmp_path / "prepared")]
    environment = {"PATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(script, capture_output=True, text=True, timeout=100, env=environment)
    assert found.returncode == 2
    assert (
        found.stderr.splitlines()[-1] == "error: --engine spark: needs a Java of version 17 or later, and there is none"
    )
    assert not (tmp_path / "prepared").exists()
