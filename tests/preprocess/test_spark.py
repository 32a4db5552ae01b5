"""Spark reads files as DuckDB does, names the same line where one is wrong, keeps orders, and ends when closed."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pytest
from test_bad_input import BAD_LINES, edit

from preprocess.delimited import read
from preprocess.engines import EngineOptions
from preprocess.movielens import ADAPTER
from preprocess.names import ROW
from preprocess.options import DataOptions
from preprocess.raw import Column, Layout, RawFile
from prerank.errors import InputError

ROOT = Path(__file__).parents[2]
QUOTED = Layout((Column("id", "int"), Column("text"), Column("number", "number")), ",", True, '"', "utf-8")


@pytest.fixture(scope="module")
def spark_engine(spark, tmp_path_factory):
    from preprocess.engines.spark import SparkEngine

    with SparkEngine(EngineOptions(tmp_path_factory.mktemp("scratch"))) as engine:
        yield engine


@pytest.fixture(scope="module")
def engines(engine, spark_engine):
    return engine, spark_engine


def found_in(engine, path, layout):
    """What an engine reads, or the line that it says is wrong."""
    try:
        raw = read(engine, RawFile.inspect(path), layout)
        return engine.table(raw.table.order_by(ROW)).to_pylist()
    except InputError as error:
        return str(error)


def test_lines_of_many_blocks_are_numbered(engine, spark, tmp_path):
    from preprocess.engines.spark import SparkEngine

    blocks = {"spark.sql.files.maxPartitionBytes": "3000", "spark.sql.files.openCostInBytes": "0"}
    lines = ["id,text,number", *(f'{place},"é{place}, ""x""",{place / 7}' for place in range(500)), "-3,,", '4,"",.5']
    for path in (tmp_path / "a[1] *.csv", tmp_path / "a.csv.gz"):
        data = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        expected = found_in(engine, path, QUOTED)
        with SparkEngine(EngineOptions(tmp_path, spark_conf=tuple(blocks.items()))) as spark_engine:
            found = found_in(spark_engine, path, QUOTED)
        assert found == expected
        assert [row[ROW] for row in found] == list(range(502))
        assert found[3] == {"id": 3, "text": 'é3, "x"', "number": float(np.float32(3 / 7)), ROW: 3}
        assert [row["text"] for row in found[-2:]] == [None, None]


CLOSER_LOOK = [
    b"1,Am\xe9lie,3",
    b'1,"x"y,3',
    b"9223372036854775807,\\,-0.1e-30",
    b'1,"open,3',
    b'1,x"y,3',
    b'1,"x""",3',
    b'1,"x" ,3',
    b'1, "x",3',
    b'1,  "x,y",3',
    b'1,"a"" , ""b",3',
    "1,\N{REPLACEMENT CHARACTER},3".encode(),
    b"1,x,1e5",
    b"1,x,0x10",
    b"+1,x,3",
    b" ,x,3",
    b"1,x",
    b"",
    b"   ",
    b"9223372036854775808,x,3",
]


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=[] if place < 3 else pytest.mark.slow) for place, line in enumerate(CLOSER_LOOK)],
)
def test_lines_that_need_a_closer_look(engines, tmp_path, line):
    path = tmp_path / "a.csv"
    path.write_bytes(b'"id"," text ",number\r\n0,a,1.5\r\n' + line + b"\r\n2,b,\r\n")
    expected, found = (found_in(engine, path, QUOTED) for engine in engines)
    assert found == expected


def test_a_value_in_quotes_may_have_a_line_end(engines, tmp_path):
    (tmp_path / "a.csv").write_text('id,text,number\n0,"two\nlines",3\n')
    found = [[row["text"] for row in found_in(engine, tmp_path / "a.csv", QUOTED)] for engine in engines]
    assert found == [["two\nlines"], ["two\nlines"]]


ML_1M = {
    "ratings.dat": Layout(tuple(Column(name, "int", True) for name in "umrt"), "::"),
    "users.dat": Layout((Column("u", "int"), Column("g"), Column("a", "int"), Column("o"), Column("z")), "::"),
    "movies.dat": Layout((Column("m", "int"), Column("t"), Column("g")), "::"),
}


BAD = [pytest.param(*bad, marks=[] if place % 12 == 0 else pytest.mark.slow) for place, bad in enumerate(BAD_LINES)]


@pytest.mark.parametrize(("file", "line", "text", "message"), BAD)
def test_a_bad_line_is_named_as_by_duckdb(engines, small, tmp_path, file, line, text, message):
    folder = small.write_ml_1m(tmp_path / "raw")
    edit(folder / file, line, text)
    expected, found = (found_in(engine, folder / file, ML_1M[file]) for engine in engines)
    assert found == expected


def test_errors_of_a_whole_preparation(spark, small, tmp_path):
    folder = small.write_ml_1m(tmp_path / "raw")
    edit(folder / "ratings.dat", 11, "777::2::5::978300760")
    options = DataOptions(data_path=folder, prepared_dir=tmp_path / "out", engine="spark")
    from preprocess.prepare import prepare

    with pytest.raises(InputError, match=r"ratings.dat, line 11: user_id 777 is not in users.dat$"):
        prepare(ADAPTER, options, lambda line: None)
    assert not (tmp_path / "out").exists()


def test_a_table_keeps_its_order_and_is_cut_into_batches(spark_engine):
    schema = pa.schema([("key", pa.int64()), ("list", pa.list_(pa.int32())), ("small", pa.int8())])
    keys = [place * 7919 % 2003 for place in range(2003)]
    rows = pa.table({"key": keys, "list": [[key, 1] for key in keys], "small": [key % 100 for key in keys]}, schema)
    table = spark_engine.load(schema, rows.to_batches(max_chunksize=100))
    ordered = table.order_by(ibis.desc("key"))
    batches = list(spark_engine.batches(ordered, 300))
    assert pa.Table.from_batches(batches).equals(rows.sort_by([("key", "descending")]))
    assert spark_engine.one(ordered)["list"] == [2002, 1]
    assert spark_engine.one(table.filter(table.key < 0)) == {}
    assert list(spark_engine.batches(table.filter(table.key < 0), 10)) == []
    assert spark_engine.column(table.group_by("small").agg(n=table.count()).order_by("small"), "small") == [*range(100)]


def test_scratch_at_an_address(spark, tmp_path):
    upath = pytest.importorskip("upath")
    (tmp_path / "spill").mkdir()
    from preprocess.engines.spark import SparkEngine, _scratch_name

    options = EngineOptions(tmp_path / "spill", spark_scratch=upath.UPath((tmp_path / "scratch").as_uri()))
    left = tmp_path / "scratch" / _scratch_name(options.spill)
    left.mkdir(parents=True)
    (left / "of a killed process").touch()
    with SparkEngine(options) as engine:
        assert list(left.iterdir()) == []
        table = engine.save(engine.load(pa.schema([("a", pa.int64())]), [pa.record_batch({"a": [2, 1]})]))
        assert engine.column(table.order_by("a"), "a") == [1, 2]
        assert list((tmp_path / "scratch").iterdir())
    assert not list((tmp_path / "scratch").iterdir())
    assert not list((tmp_path / "spill").iterdir())


SCRIPT = """
import json, os, runpy, sys
from pathlib import Path
sys.argv = ["train_movielens_whole_models.py", *json.loads(sys.argv[1])]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code
java = [line for task in Path("/proc/self/task").iterdir() for line in (task / "children").read_text().split()]
print("children left:", [Path("/proc", child, "comm").read_text() for child in java])
sys.exit(code)
"""


def script(folder, *flags, **environment):
    flags = ["--model_name", "target_means", "--epoch", "1", *flags]
    command = [sys.executable, "-c", SCRIPT, json.dumps(flags)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    (folder / "train_movielens_whole_models.py").write_bytes((ROOT / "train_movielens_whole_models.py").read_bytes())
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_script_on_spark_and_then_on_duckdb_is_one_run(spark, ml_1m, tmp_path):
    flags = ["--data_path", str(ml_1m)]
    on_spark = script(tmp_path, *flags, "--engine", "spark", "--spark_master", "local[2]", "--spark_conf", "a.b=c")
    assert on_spark.returncode == 0, on_spark.stderr
    assert "preparing movielens" in on_spark.stdout
    assert "children left: []" in on_spark.stdout
    assert not [line for line in on_spark.stderr.splitlines() if "spark" in line.lower()]
    assert [path.name for path in (tmp_path / "data/prepared/movielens").iterdir() if path.name.startswith(".")] == []
    on_duckdb = script(tmp_path, *flags)
    assert on_duckdb.returncode == 2
    assert "reusing data/prepared/movielens" in on_duckdb.stdout
    assert "--overwrite" in on_duckdb.stderr


def test_without_java_or_pyspark_one_line_says_what_is_needed(spark, ml_1m, tmp_path):
    flags = ["--data_path", str(ml_1m), "--engine", "spark"]
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    found = script(tmp_path, *flags, PATH=str(nothing), JAVA_HOME="")
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith("error: --engine spark needs Java 17 or later")
    (nothing / "pyspark.py").write_text("raise ImportError('no pyspark here')")
    found = script(tmp_path, *flags, PYTHONPATH=f"{nothing}{os.pathsep}{ROOT}")
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith("error: --engine spark needs pip install -r requirements-spark.txt")
