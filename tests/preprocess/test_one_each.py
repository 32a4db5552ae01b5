"""Rows of one user or item are compared as a model sees them, however their values are spelt."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from preprocess.movielens import ADAPTER as MOVIELENS
from preprocess.options import DataOptions
from preprocess.own_data import OwnData
from preprocess.raw import RawFile
from preprocess.schema import load
from prerank.errors import InputError

FIELDS = {
    "text": {"x": {"side": "user", "kind": "sequence", "separator": "|"}},
    "int": {"x": {"side": "user", "kind": "sequence", "type": "int64", "separator": "|"}},
    "number": {"x": {"side": "user", "kind": "dense"}},
    "id": {"x": {"side": "user", "type": "int64"}},
}
INT_LIST = pa.list_(pa.int64())


def users_of(engine, tmp_path, kind, file):
    fields = {"u": {"side": "user"}, "i": {"side": "item"}, **FIELDS[kind]}
    schema = {"dataset": "d", "user_id": "u", "item_id": "i", "label": "l", "fields": fields}
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(schema))
    adapter = OwnData(load(tmp_path / "schema.yaml"), tmp_path / "schema.yaml")
    asked = DataOptions(data_path=file, split="random").resolved()
    found = adapter.read(engine, {"rows": RawFile.inspect(file)}, asked)
    return engine.table(found.users).to_pydict()["x"]


def csv_of(tmp_path, values):
    (tmp_path / "a.csv").write_text("u,i,l,x\n" + "".join(f"me,b,{n % 2},{value}\n" for n, value in enumerate(values)))
    return tmp_path / "a.csv"


def parquet_of(path, values):
    rows = {"u": ["me"] * len(values), "i": ["b"] * len(values), "l": [n % 2 for n in range(len(values))], "x": values}
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(rows), path)
    return path


SAME = [
    ("int", ["1||2", "1|-1|2", "1||2|", "1||2|-1"]),
    ("int", ["", '""', "-1", "|", "-1|-1|"]),
    ("text", ["", '""', "|", "||"]),
    ("text", ["a||b", "a||b|", '"a||b"']),
    ("number", ["0.1", "1e-1", ".1", "0.10000000149", "0.1000000001"]),
    ("number", ["-1", "", "nan", "-1.0", "NaN"]),
    ("number", ["0", "-0", "0.0", "1e-105"]),
    ("id", ["-1", "", '""']),
]
OTHER = [
    ("int", ["1|2", "2|1"]),
    ("int", ["1|2", "1|2|2"]),
    ("int", ["1", "|1"]),
    ("int", ["1||2", "1|2"]),
    ("int", ["", "1"]),
    ("text", ["a", "A"]),
    ("text", ["a", "-1"]),
    ("text", ["-1", ""]),
    ("number", ["0.1", "0.2"]),
    ("number", ["-1", "0"]),
    ("id", ["1", ""]),
]


@pytest.mark.parametrize(("kind", "values"), SAME)
def test_spellings_of_one_value_do_not_contradict(engine, kind, values, tmp_path):
    assert len(users_of(engine, tmp_path, kind, csv_of(tmp_path, values))) == 1
    texts = [value.strip('"') for value in values]
    assert len(users_of(engine, tmp_path, kind, parquet_of(tmp_path / "a.parquet", texts))) == 1


@pytest.mark.parametrize(("kind", "values"), OTHER)
def test_other_values_do(engine, kind, values, tmp_path):
    for pair in (values, values[::-1]):
        for file in (csv_of(tmp_path, pair), parquet_of(tmp_path / "a.parquet", pair)):
            with pytest.raises(InputError, match=r"(line 3|row 2): u me has other values on an earlier line \(x\)"):
                users_of(engine, tmp_path, kind, file)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", pa.array([None, [], [-1], [None, None]], INT_LIST)),
        ("int", pa.array([[1, None, 2], [1, -1, 2], [1, None, 2, None]], INT_LIST)),
        ("text", pa.array([["a", ""], ["a", None], ["a"]])),
        ("text", pa.array([["", "b"], [None, "b"]])),
        ("int", pa.array([[1.0, np.nan, 2.0], [1, -1, 2]])),
    ],
)
def test_lists_in_parquet(engine, kind, values, tmp_path):
    assert len(users_of(engine, tmp_path, kind, parquet_of(tmp_path / "a.parquet", values))) == 1


def test_files_of_a_folder_may_spell_a_list_in_several_ways(engine, tmp_path):
    for number, values in enumerate(
        (["1||2"], pa.array([[1, None, 2]]), pa.array([["1", "", "2"]]), [["1", "-1", "2"]])
    ):
        parquet_of(tmp_path / "rows" / f"{number}.parquet", values)
    assert users_of(engine, tmp_path, "int", tmp_path / "rows") == [[1, None, 2]]
    parquet_of(tmp_path / "rows" / "9.parquet", pa.array([[1, 2]]))
    with pytest.raises(InputError, match=r"9\.parquet, row 1: u me has other values on an earlier line"):
        users_of(engine, tmp_path, "int", tmp_path / "rows")


def test_genres_of_the_joined_movielens(engine, small, tmp_path):
    table = pd.read_csv(small.write_joined(tmp_path / "joined.csv"), dtype=str)
    movie = table["movie_id"] == table["movie_id"][0]
    assert movie.sum() > 2
    table.loc[movie, "genres"] = ["Drama|War", *(["Drama|War|"] * (movie.sum() - 1))]
    table.to_csv(tmp_path / "same.csv", index=False)
    asked = DataOptions(data_path=tmp_path / "same.csv").resolved()
    assert MOVIELENS.read(engine, {"joined": RawFile.inspect(tmp_path / "same.csv")}, asked).items is not None
    table.loc[movie, "genres"] = ["Drama|War", *(["War|Drama"] * (movie.sum() - 1))]
    table.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match=r"has other values on an earlier line \(genres\)"):
        MOVIELENS.read(engine, {"joined": RawFile.inspect(tmp_path / "other.csv")}, asked)
