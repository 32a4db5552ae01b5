"""Each value of docs/values.md through every door: the same value and index, or the same refusal with its place."""

import ast
import json
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from doors import DOORS, VOCABULARIES

from export.raw_inputs import RawInputs
from features import RESERVED, FeatureSpec, Field
from preprocess import delimited, object_lines, records
from preprocess.engines import EngineOptions
from preprocess.engines.duckdb import DuckDBEngine
from preprocess.hashing import with_bucket
from preprocess.object_lines import Member
from preprocess.parquet_rows import Source, read_parquet
from preprocess.raw import Column, Layout, RawFile
from prerank.columns import TYPES
from prerank.encoding import Indexer
from prerank.errors import InputError
from prerank.values import EXPECTED, WrongValueError, read

DOC = (Path(__file__).parents[1] / "docs" / "values.md").read_text("utf-8")
KINDS = {"text id": "text", "integer id": "int", "number": "number", "label": "label", "time": "seconds"}
MISSING, REFUSED = "missing", "refused"
ITEM = Field("i", "item", "sparse", "int64", "i", 3)
_SPECIAL = {"NaN": math.nan, "inf": math.inf}
_FILLERS = {str: "7", int: 7, float: None, bool: True, bytes: b"7", type(None): None}
"""By a value's type, what goes before it in its column."""


def _literal(cell):
    text = cell.strip().strip("`")
    return _SPECIAL[text] if text in _SPECIAL else ast.literal_eval(text)


def _table():
    """(value, what becomes of it by kind) of each line of the table."""
    text = DOC.split("## The table")[1].split("## ")[0]
    header, _, *lines = [
        line.strip("|").split("|") for line in text.splitlines() if line.startswith("|") and line.count("|") > 5
    ]
    kinds = [KINDS[cell.strip()] for cell in header[1:]]
    for value, *cells in lines:
        plain = [cell.strip() for cell in cells]
        yield (
            _literal(value),
            {
                kind: cell if cell in (MISSING, REFUSED) else _literal(cell)
                for kind, cell in zip(kinds, plain, strict=True)
            },
        )


TABLE = list(_table())
for _kind, _known in VOCABULARIES.items():
    _known += dict.fromkeys(made[_kind] for _, made in TABLE if made[_kind] not in (MISSING, REFUSED))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with DuckDBEngine(EngineOptions(tmp_path_factory.mktemp("spill"))) as opened:
        yield opened


def _same(found, expected):
    """Whether a door gave what the table says: of its type too, but for numbers."""
    if expected == MISSING:
        return found is None
    return found == expected and isinstance(found, str) == isinstance(expected, str)


@pytest.mark.parametrize(("value", "made"), TABLE, ids=lambda cell: "" if isinstance(cell, dict) else repr(cell))
def test_one_value(value, made):
    """The reader of single values."""
    for kind, expected in made.items():
        if expected == REFUSED:
            with pytest.raises(WrongValueError):
                read(value, kind)
        else:
            assert _same(read(value, kind), expected), kind


def _pair(door, name, value, kind):
    """The value, and one of its type before it that the door takes, if there is one."""
    before = _FILLERS[type(value)]
    if isinstance(value, float):
        before = (7.0 if kind == "int" else None) if door.required else math.nan if "numpy" in name else None
    return [value] if before is None and door.required else [before, value]


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, door in DOORS.items() for kind in door.kinds])
def test_a_door_gives_what_the_table_says(name, kind, engine, tmp_path):
    door = DOORS[name]
    taken = [(value, made[kind]) for value, made in TABLE if door.takes(value)]
    if door.required:
        taken = [(value, REFUSED if value is None or value != value else expected) for value, expected in taken]
    good = [(value, expected) for value, expected in taken if expected != REFUSED]
    columns = (
        [("7", *(value for value, _ in good))] if door.slow else [_pair(door, name, value, kind) for value, _ in good]
    )
    found = []
    for number, values in enumerate(columns):
        (tmp_path / f"good {number}").mkdir()
        found.append(door.send(list(values), kind, tmp_path / f"good {number}", engine))
        assert len(found[-1]) == len(values)
    last = found[0][1:] if door.slow else [values[-1] for values in found]
    for (value, expected), one in zip(good, last, strict=True):
        assert _same(one, expected), (value, one)
    bad = [value for value, expected in taken if expected == REFUSED]
    for number, value in enumerate(bad[:: 1 + 5 * door.slow]):
        (tmp_path / f"bad {number}").mkdir()
        _assert_refused(door, _pair(door, name, value, kind), kind, tmp_path / f"bad {number}", engine)


def _assert_refused(door, values, kind, folder, engine):
    """In one line, that names door, column and row, and says the same of the value at each door."""
    with pytest.raises(InputError) as caught:
        door.send(values, kind, folder, engine)
    message = str(caught.value)
    assert "\n" not in message
    where = door.where if len(values) == 2 else door.where.replace("place 2", "place 1")
    if "not plain text: holds the byte 0x00" in message:
        assert "line" in message
        return
    assert re.search(where.format(""), message), (values, message)
    assert (_expected(values[-1], kind) or EXPECTED[kind]) in message


def _expected(value, kind):
    try:
        read(value, kind)
    except WrongValueError as error:
        return error.expected
    return None


@pytest.mark.parametrize(("value", "shown"), [("", "empty"), ("-1", "-1"), (None, "null"), (-1, "-1"), (-1.0, "-1.0")])
def test_a_required_value_that_is_missing_is_refused_with_its_place(value, shown, engine, tmp_path):
    kind = "text" if value == "" else "int"
    said = f"x is {shown}, and may not be missing"
    if isinstance(value, str):
        (tmp_path / "a.csv").write_text(f'x,y\n7,1\n"{value}",2\n')
        layout = Layout((Column("x", kind, True), Column("y")), ",", header=True, quote='"', encoding="utf-8")
        with pytest.raises(InputError, match=rf"a\.csv, line 3: {said}"):
            delimited.read(engine, RawFile.inspect(tmp_path / "a.csv"), layout)
    (tmp_path / "a.json").write_text(f'{{"x": 7}}\n{json.dumps({"x": value})}\n')
    with pytest.raises(InputError, match=rf"a\.json, line 2: {said}"):
        list(object_lines.read(tmp_path / "a.json", [Member("x", kind, True)]))
    pq.write_table(
        pa.table({"x": [None if value is None else type(value)(7), value][value is None :]}), tmp_path / "a.parquet"
    )
    with pytest.raises(InputError, match=rf"a\.parquet, row {1 + (value is not None)}: {said}"):
        read_parquet(engine, RawFile.inspect(tmp_path / "a.parquet"), [Source("x", "x", kind, True)])


@pytest.mark.parametrize("kind", ["text", "int"])
def test_a_hashed_id_has_one_index_everywhere(kind, engine, tmp_path):
    """In the preparation, in the graph of a SavedModel, and beside an ONNX file."""
    values = [*VOCABULARIES[kind], "" if kind == "text" else -1]
    raw_type = "string" if kind == "text" else "int64"
    table = engine.load(schema := pa.schema([("x", TYPES[kind])]), [pa.record_batch([values], schema=schema)])
    buckets = engine.table(with_bucket(table, "_bucket", "x", 7)).to_pylist()
    prepared = {row["x"]: row["_bucket"] + RESERVED for row in buckets} | {values[-1]: 0}
    spec = FeatureSpec("d", (Field("x", "user", "sparse", raw_type, "x", 9, hash_buckets=7), ITEM), "x", "i", (), ())
    inside = RawInputs(spec, {"i": np.array([1])}).encode({"x": tf.constant(values, raw_type)})["x"]
    item = {"name": "x", "kind": "sparse", "dtype": raw_type, "missing": values[-1], "vocabulary": "x"}
    described = {
        "format": "onnx",
        "inputs": [item | {"vocabulary_size": 9, "hash_buckets": 7}],
        "specification": {"behaviours": []},
        "reserved": {"missing": 0, "unseen": 1, "first": RESERVED},
    }
    (tmp_path / "features.json").write_text(json.dumps(described))
    (tmp_path / "vocabularies.json").write_text("{}")
    beside = Indexer(tmp_path).encode({"x": values})["x"]
    expected = [prepared[value] for value in values]
    assert len(set(expected)) > 3
    assert inside.numpy().tolist() == beside.tolist() == expected


QUOTED = Layout((Column("x"), Column("y"), Column("z", "int")), ",", header=True, quote='"', encoding="utf-8")


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('0, "x",3', ["0", ' "x"', 3]),
        (' "0",x,3', [' "0"', "x", 3]),
        ('0,\t"x",3', ["0", '\t"x"', 3]),
        ('"a"" , ""b"," x",3', ['a" , "b', " x", 3]),
        (" x , y ,3", [" x ", " y ", 3]),
        ('27" screen,5" ,3', ['27" screen', '5" ', 3]),
    ],
)
def test_blanks_belong_to_a_value_in_csv(line, found, size, engine, tmp_path, monkeypatch):
    """The raw line decides, wherever a block of the file ends, and not what an engine makes of a quote."""
    monkeypatch.setattr(records, "_CHUNK", size)
    (tmp_path / "a.csv").write_text(f"x,y,z\n{line}\n")
    table = delimited.read(engine, RawFile.inspect(tmp_path / "a.csv"), QUOTED).table
    assert list(engine.one(table.select("x", "y", "z")).values()) == found


@pytest.mark.parametrize("line", ['0,"x" ,3', '"0" ,x,3', '0,x, "3"'])
def test_a_quote_with_blanks_that_no_value_has_is_refused(line, engine, tmp_path):
    (tmp_path / "a.csv").write_text(f"x,y,z\n1,2,3\n{line}\n")
    with pytest.raises(
        InputError, match=r"a\.csv, line 3: (not well quoted|z has to be an integer. Received: ' \"3\"')"
    ):
        delimited.read(engine, RawFile.inspect(tmp_path / "a.csv"), QUOTED)


def test_a_nul_in_csv_is_refused(engine, tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n4,a\0b,5\n")
    with pytest.raises(InputError, match=r"a\.csv, line 3: not plain text: holds the byte 0x00"):
        delimited.read(engine, RawFile.inspect(tmp_path / "a.csv"), QUOTED)
