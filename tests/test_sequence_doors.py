"""Each sequence of the second table in docs/values.md through every door: the same list, or a refusal."""

import ast
import csv
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import MISSING, RESERVED
from preprocess.engines import EngineOptions
from preprocess.engines.duckdb import DuckDBEngine
from preprocess.names import ROW
from preprocess.options import DataOptions
from preprocess.own_data import OwnData
from preprocess.raw import RawFile
from preprocess.schema import Schema
from prerank.encoding import Indexer
from prerank.errors import InputError
from prerank.items import columns, read_table
from prerank.requests import UserInputs

DOC = (Path(__file__).parents[1] / "docs" / "values.md").read_text("utf-8")
REFUSED = "refused"
FIELD = {"side": "user", "kind": "sequence", "separator": ";"}
TYPES = {"text": "string", "int": "int64"}


def _cell(text):
    text = text.strip().strip("|").strip().strip("`")
    return math.nan if text == "NaN" else REFUSED if text == REFUSED else ast.literal_eval(text)


def _table():
    text = DOC.split("## Sequences with a separator")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[_cell(cell) for cell in line.split(" | ")] for line in lines]


TABLE = _table()


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with DuckDBEngine(EngineOptions(tmp_path_factory.mktemp("spill"))) as opened:
        yield opened


def _trained(file, kind, engine):
    fields = {"u": {"side": "user"}, "i": {"side": "item"}, "x": FIELD | {"type": TYPES[kind]}}
    schema = Schema(dataset="d", fields=fields, user_id="u", item_id="i", label="l", context=["x"])
    asked = DataOptions(data_path=file, split="random").resolved()
    rows = OwnData(schema, file.parent / "schema.yaml").read(engine, {"rows": RawFile.inspect(file)}, asked).rows
    return [row or [] for row in engine.column(rows.order_by(ROW), "x")]


def csv_file(values, kind, folder, engine):
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("u", "i", "l", "x"), *(("a", "b", "1", value) for value in values)])
    return _trained(folder / "a.csv", kind, engine)


def parquet(values, kind, folder, engine):
    column = pa.array(values)
    table = {"u": ["a"] * len(values), "i": ["b"] * len(values), "l": [1] * len(values), "x": column}
    pq.write_table(pa.table(table), folder / "a.parquet")
    return _trained(folder / "a.parquet", kind, engine)


def _described(kind):
    missing = "" if kind == "text" else -1
    return {"name": "x", "kind": "sequence", "dtype": TYPES[kind], "missing": missing, "separator": ";"}


def items(values, kind, folder, engine):
    found = []
    for number, value in enumerate(values):  # one file each, as rows of one are padded
        (folder / f"{number}").mkdir()
        file = folder / f"{number}" / "a.parquet"
        pq.write_table(pa.table({"x": pa.array([value], pa.array(values).type)}), file)
        found.append(columns(read_table(file), [_described(kind)], file)[0][0].tolist())
    return found


def request(values, kind, folder, engine):
    inputs = UserInputs([_described(kind)])
    inputs.arrays([{"x": value} for value in values])
    return [inputs.arrays([{"x": value}])[0][0].tolist() for value in values]


VOCABULARIES = {"text": [], "int": []}


def onnx(values, kind, folder, engine):
    known = VOCABULARIES[kind]
    described = {
        "format": "onnx",
        "inputs": [_described(kind) | {"vocabulary": "x", "vocabulary_size": len(known) + RESERVED}],
        "specification": {"behaviours": []},
        "reserved": {"missing": 0, "unseen": 1, "first": RESERVED},
    }
    (folder / "features.json").write_text(json.dumps(described))
    (folder / "vocabularies.json").write_text(json.dumps({"x": known}))
    indexer = Indexer(folder)
    indexer.encode({"x": values})
    found = []
    for value in values:
        row = indexer.encode({"x": [value]})["x"][0].tolist()
        found.append([None if index == MISSING else known[index - RESERVED] for index in row])
    return found


DOORS = {
    csv_file: r"a\.csv, line 3: x has to be a list",
    parquet: r"a\.parquet, row 2: x has to be a list",
    items: r"a\.parquet, row 1: x has to be a list",
    request: "user 2: feature 'x' has to be",
    onnx: "x, row 2 has to be",
}
for _kind, _column in (("text", 1), ("int", 2)):
    elements = [element for line in TABLE if line[_column] != REFUSED for element in line[_column]]
    VOCABULARIES[_kind] += dict.fromkeys(element for element in elements if element is not None)


def _plain(row, expected):
    """A list without what stands for missing elements, and without a door's padding of empty ones."""
    found = [None if element in ("", -1) else element for element in row]
    return [] if not expected and found == [None] else found


def _taken(door, value):
    if door is csv_file:
        return isinstance(value, str)
    if isinstance(value, list) and {type(element) for element in value} == {int, str}:
        return door in (request, onnx)
    return True


@pytest.mark.parametrize("kind", ["text", "int"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_sequence_is_the_same_at_every_door(door, kind, engine, tmp_path):
    before = {str: "7", list: [], int: 7, float: math.nan, bool: None, bytes: b"7", type(None): None, dict: None}
    done = 0
    for number, (value, *made) in enumerate(TABLE):
        if not _taken(door, value):
            continue
        (folder := tmp_path / str(number)).mkdir()
        expected = made[kind == "int"]
        first = before[type(value)]
        done += 1
        if expected == REFUSED:
            with pytest.raises(InputError, match=DOORS[door]) as caught:
                door([first, value], kind, folder, engine)
            assert "\n" not in str(caught.value)
        else:
            assert _plain(door([first, value], kind, folder, engine)[1], expected) == expected, value
    assert done > 10


@pytest.mark.parametrize("door", [request, onnx])
@pytest.mark.parametrize(
    "value",
    [
        np.str_("1;;2"),
        pa.scalar("1;;2"),
        pa.array(["1;;2"]).dictionary_encode()[0],
        pa.scalar([1, None, 2]),
        pa.scalar([1, -1, 2], pa.large_list(pa.int64())),
        pa.scalar([1, None, 2], pa.list_(pa.int64(), 3)),
    ],
    ids=repr,
)
def test_scalars_of_libraries(door, value, engine, tmp_path):
    assert [_plain(row, [1]) for row in door([value], "int", tmp_path, engine)] == [[1, None, 2]]


@pytest.mark.parametrize("door", [request, onnx])
def test_a_scalar_of_arrow_that_is_null_is_an_empty_list(door, engine, tmp_path):
    (found,) = door([pa.scalar(None, pa.list_(pa.int64()))], "int", tmp_path, engine)
    assert _plain(found, []) == []


@pytest.mark.parametrize("column", [pa.array(["1;2", "", None, "7"]), pa.array([[1, 2], [], None, [7]])])
def test_a_column_of_arrow_is_encoded_row_by_row(column, engine, tmp_path):
    onnx(["7"], "int", tmp_path, engine)  # writes the export
    found = Indexer(tmp_path).encode({"x": column})["x"].tolist()
    one, two, seven = (VOCABULARIES["int"].index(value) + RESERVED for value in (1, 2, 7))
    assert found == [[one, two], [0, 0], [0, 0], [seven, 0]]


@pytest.mark.parametrize("kind", ["text", "int"])
def test_without_a_separator_a_text_is_refused(kind):
    field = {name: value for name, value in _described(kind).items() if name != "separator"}
    with pytest.raises(InputError, match="user: feature 'x' has to be a sequence. Received: '1;2'"):
        UserInputs([field]).arrays([{"x": "1;2"}])
    with pytest.raises(InputError, match="a.parquet, row 1: x has to be a list of values, each "):
        columns(pa.table({"x": ["1;2"]}), [field], Path("a.parquet"))


def test_a_separator_of_several_characters_is_found_from_the_left(engine, tmp_path):
    field = _described("text") | {"separator": "||"}
    for values in (["1|||2"], pa.array(["1|||2"])):
        found = columns(pa.table({"x": values}), [field], tmp_path)[0][0].tolist()
        assert found == UserInputs([field]).arrays([{"x": values[0]}])[0][0].tolist() == ["1", "|2"]
