"""Every door of raw values, as a function that sends two values of one column through it.

A door gives what became of them, None for a missing one, or raises what refuses the second, whose place it names.
"""

from __future__ import annotations

import csv
import json
import math
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import MISSING, RESERVED
from preprocess import object_lines, records
from preprocess.delimited import read
from preprocess.engines import Engine
from preprocess.names import ROW
from preprocess.object_lines import Member
from preprocess.options import DataOptions
from preprocess.own_data import OwnData
from preprocess.parquet_rows import Source, read_parquet
from preprocess.raw import Column, Layout, RawFile
from preprocess.schema import Schema
from prerank.encoding import Indexer
from prerank.id_files import read_ids
from prerank.items import columns, read_table
from prerank.requests import UserInputs, item_ids
from prerank.values import KINDS

RAW_TYPES = {kind: raw_type for raw_type, kind in KINDS.items()}
_IDS, _MODEL, _ALL = ("text", "int"), ("text", "int", "number"), ("text", "int", "number", "label", "seconds")
_NO_NUMBER = -12345.0


@dataclass(frozen=True)
class Door:
    """A door.

    Attributes:
        send: sends the values of a list through it, as a column "x" of a kind; the folder is an empty one.
        kinds: what it reads.
        where: a pattern of how it names the place of the second value.
        takes: whether a value can come to it as it is.
        required: a null or a NaN is refused.
        slow: it reads a file by an engine, so what it takes is sent at once, and of what it refuses a part.
    """

    send: Callable[[list[Any], Any, Path, Engine], list[Any]]
    kinds: tuple[str, ...]
    where: str
    takes: Callable[[Any], bool] = lambda value: True
    required: bool = False
    slow: bool = False


def is_unicode(value: Any) -> bool:
    """Whether it is a text that a file can hold."""
    return isinstance(value, str) and value.isascii() or isinstance(value, str) and "\ud800" not in value


def _csv(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    file, layout = _write_csv(values, kind, folder)
    table = read(engine, RawFile.inspect(file), layout).table
    return engine.column(table.order_by(ROW), "x")


def _csv_by_record(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    file, layout = _write_csv(values, kind, folder)
    return pa.Table.from_batches(records.typed(file, layout, ["x", "y"]))["x"].to_pylist()


def _write_csv(values: list[Any], kind: Any, folder: Path) -> tuple[Path, Layout]:
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("x", "y"), *((value, "é") for value in values)])
    layout = Layout((Column("x", kind), Column("y")), ",", header=True, quote='"', encoding="utf-8")
    return folder / "a.csv", layout


def _plain(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    file = folder / "a.dat"
    file.write_bytes("".join(f"é::{value}\n" for value in values).encode())
    layout = Layout((Column("y"), Column("x", kind)), "::", encoding="utf-8")
    return engine.column(read(engine, RawFile.inspect(file), layout).table.order_by(ROW), "x")


def _own(values: list[Any], kind: Any, folder: Path, form: str) -> tuple[OwnData, Path]:
    """Own data whose sequence has one element a row."""
    file = folder / f"a.{form}"
    table = {"u": ["a"] * len(values), "i": ["b"] * len(values), "l": ["1"] * len(values), "x": values}
    if form == "csv":
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([table, *zip(*table.values(), strict=True)])
    else:
        pq.write_table(pa.table(table), file)
    fields = {
        "u": {"side": "user"},
        "i": {"side": "item"},
        "x": {"side": "user", "kind": "sequence", "type": RAW_TYPES[kind], "separator": ";"},
    }
    schema = Schema(dataset="d", fields=fields, user_id="u", item_id="i", label="l", context=["x"])
    return OwnData(schema, folder / "schema.yaml"), file


def _separated(form: str) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    def send(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
        adapter, file = _own([f"{value};7" for value in values], kind, folder, form)
        options = DataOptions(data_path=file, split="random").resolved()
        found = adapter.read(engine, {"rows": RawFile.inspect(file)}, options).rows
        rows = engine.column(found.order_by(ROW), "x")
        assert [row[1] for row in rows] == [7 if kind == "int" else "7"] * len(rows)
        return [None if row[0] in ("", -1) else row[0] for row in rows]

    return send


def _arrow(values: list[Any]) -> pa.Array:
    large = any(type(value) is int and value >= 2**63 for value in values)
    return pa.array(values, pa.uint64() if large else None)


def _stored(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


class _Kept:
    """Keeps what is read as it is: an engine would only store it."""

    @staticmethod
    def load(schema: pa.Schema, batches: Any) -> pa.Table:
        return pa.Table.from_batches(batches, schema)


def _column(file: RawFile, source: Source) -> list[Any]:
    found: Any = read_parquet(cast(Engine, _Kept), file, [source]).table
    return found["x"].to_pylist()


def _parquet(make: Callable[[list[Any]], pa.Array]) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    def send(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
        file = RawFile.inspect(_stored(pa.table({"x": make(values)}), folder))
        return _column(file, Source("x", "x", kind))

    return send


def _lists(values: list[Any]) -> pa.Array:
    flat = _arrow(values)
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), flat)


def _parquet_lists(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    file = RawFile.inspect(_stored(pa.table({"x": _lists(values)}), folder))
    source = Source("x", "x", kind, sequence=True)
    return [row[0] for row in _column(file, source)]


def _partitions(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    for number, value in enumerate(values):
        name = "__HIVE_DEFAULT_PARTITION__" if value is None else urllib.parse.quote(value, safe="")
        place = folder / "a.parquet" / f"n={number:03}" / f"x={name}"
        place.mkdir(parents=True)
        _stored(pa.table({"y": [1]}), place)
    return _column(RawFile.inspect(folder / "a.parquet"), Source("x", "x", kind))


def _objects(spell: Callable[[Any], str]) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    def send(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
        (folder / "a.json").write_text("".join(spell({"x": value}) + "\n" for value in values), "utf-8")
        batches = object_lines.read(folder / "a.json", [Member("x", kind)])
        return pa.Table.from_batches(batches)["x"].to_pylist()

    return send


def _field(kind: Any, shape: str = "sparse") -> dict[str, Any]:
    default = {"default": []} if shape == "sequence" else {}
    return {"name": "x", "kind": "dense" if kind == "number" else shape, "dtype": RAW_TYPES[kind]} | default


def _items(make: Callable[[list[Any]], pa.Array]) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    def send(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
        file = _stored(pa.table({"x": make(values)}), folder)
        shape = "sequence" if make is _lists else "sparse"
        return _plainly(columns(read_table(file), [_field(kind, shape)], file)[0].reshape(-1))

    return send


def _candidates(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    (folder / "a.txt").write_bytes("\n".join(values).encode())
    return _plainly(read_ids(folder / "a.txt", RAW_TYPES[kind], "--candidates"))


def _request(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    return _plainly(UserInputs([_field(kind)]).arrays([{"x": value} for value in values])[0])


def _request_lists(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
    users = [{"x": [value]} for value in values]
    return _plainly(UserInputs([_field(kind, "sequence")]).arrays(users)[0].reshape(-1))


def _ids(make: Callable[[list[Any]], Any]) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    return lambda values, kind, folder, engine: _plainly(item_ids(make(values), RAW_TYPES[kind]))


def _plainly(values: Any) -> list[Any]:
    """Values with None for what stands for a missing one in the arrays that a model takes."""
    found = [value.item() if isinstance(value, np.generic) else value for value in values]
    return [None if value in ("", -1) or value != value else value for value in found]


def _encoded(
    make: Callable[[list[Any]], Any], shape: str = "sparse"
) -> Callable[[list[Any], Any, Path, Engine], list[Any]]:
    """The indexer of ONNX exports: indices, read back by the vocabulary."""

    def send(values: list[Any], kind: Any, folder: Path, engine: Engine) -> list[Any]:
        indexer, vocabulary = _indexer(kind, folder, shape)
        found = indexer.encode({"x": make(values)})["x"].reshape(-1).tolist()
        if kind == "number":
            return [None if value == _NO_NUMBER else value for value in found]
        return [None if index == MISSING else vocabulary[index - RESERVED] for index in found]

    return send


VOCABULARIES: dict[str, list[Any]] = {"text": [], "int": []}
"""What the indexer knows: filled by the test, with all that the table gives."""


def _indexer(kind: Any, folder: Path, shape: str) -> tuple[Indexer, list[Any]]:
    known = VOCABULARIES.get(kind, [])
    item: dict[str, Any] = _field(kind, shape)
    if kind == "number":
        item |= {"missing": "NaN", "default": _NO_NUMBER, "mean": 0.0, "scale": 1.0}
    else:
        missing: Any = "" if kind == "text" else -1
        item |= {"missing": missing, "vocabulary": "x", "vocabulary_size": len(known) + RESERVED}
    reserved = {"missing": 0, "unseen": 1, "first": RESERVED}
    described = {"format": "onnx", "inputs": [item], "specification": {"behaviours": []}, "reserved": reserved}
    (folder / "features.json").write_text(json.dumps(described))
    (folder / "vocabularies.json").write_text(json.dumps({"x": known}))
    return Indexer(folder), known


def _numpy(values: list[Any]) -> np.ndarray:
    large = any(type(value) is int and value >= 2**63 for value in values)
    return np.array(values, np.uint64 if large else None)


def _numpy_objects(values: list[Any]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _nullable(values: list[Any]) -> pd.Series:
    integer = "UInt64" if isinstance(values[-1], int) and values[-1] >= 2**63 else "Int64"
    names = {str: "string", bool: "boolean", float: "Float64", int: integer}
    return pd.Series(values, dtype=names[type(values[-1])])


def _category(values: list[Any]) -> pd.Series:
    return pd.Series(
        pd.Categorical(values, categories=list(dict.fromkeys(v for v in values if v == v and v is not None)))
    )


def _pandas_of_arrow(values: list[Any]) -> pd.Series:
    array = _arrow(values)
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def _is_typed(value: Any) -> bool:
    """Whether NumPy has a type that holds it as it is: text loses a NUL at its end."""
    return value is not None and not (isinstance(value, str) and value.endswith("\0"))


def _is_arrow(value: Any) -> bool:
    return value is not None and (is_unicode(value) or not isinstance(value, str))


def _is_json(value: Any) -> bool:
    return not isinstance(value, bytes)


def _is_literal(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _has_nullable(value: Any) -> bool:
    return type(value) in (str, bool, int, float) and (is_unicode(value) or not isinstance(value, str))


CONTAINERS: dict[str, tuple[Callable[[list[Any]], Any], Callable[[Any], bool]]] = {
    "list": (list, lambda value: True),
    "tuple": (tuple, lambda value: True),
    "numpy": (_numpy, _is_typed),
    "numpy objects": (_numpy_objects, lambda value: True),
    "pandas": (lambda values: pd.Series(values, index=[9, 8][: len(values)]), is_unicode),
    "pandas objects": (lambda values: pd.Series(values, dtype=object), lambda value: True),
    "pandas nullable": (_nullable, _has_nullable),
    "pandas category": (_category, lambda value: _has_nullable(value) or value is None),
    "pandas of Arrow": (_pandas_of_arrow, _is_arrow),
    "pandas Index": (lambda values: pd.Index(values, dtype=object), lambda value: True),
    "Arrow": (_arrow, _is_arrow),
    "Arrow chunked": (
        lambda values: pa.chunked_array([_arrow(values).slice(place, 1) for place in range(len(values))]),
        _is_arrow,
    ),
    "Arrow dictionary": (lambda values: _arrow(values).dictionary_encode(), _is_arrow),
    "Arrow large": (lambda values: pa.array(values, pa.large_string()), is_unicode),
    "Arrow view": (lambda values: pa.array(values, pa.string_view()), is_unicode),
    "Arrow bytes": (lambda values: pa.array([value.encode() for value in values], pa.binary()), is_unicode),
    "Arrow runs": (lambda values: pa.compute.run_end_encode(_arrow(values)), _is_arrow),
}


def doors() -> Iterator[tuple[str, Door]]:
    """Every door, by name."""
    line, row = r"a\.csv, line 3: x {}", r"a\.parquet, row 2: x {}"
    yield "csv", Door(_csv, _ALL, line, is_unicode, slow=True)
    yield "csv by record", Door(_csv_by_record, _ALL, line, is_unicode)
    yield "no quotes", Door(_plain, _ALL, r"a\.dat, line 2: x {}", is_unicode, slow=True)
    yield "csv separated", Door(_separated("csv"), _IDS, line, is_unicode, slow=True)
    yield "parquet separated", Door(_separated("parquet"), _IDS, row, is_unicode, slow=True)
    for name, make in {"": _arrow, " dictionary": lambda values: _arrow(values).dictionary_encode()}.items():
        takes = _is_arrow if name else lambda value: _is_arrow(value) or value is None
        yield f"parquet{name}", Door(_parquet(make), _ALL, row, takes)
        yield f"items{name}", Door(_items(make), _MODEL, row, takes)
    yield "parquet lists", Door(_parquet_lists, _ALL, row, _is_arrow)
    yield "items lists", Door(_items(_lists), _IDS, row, _is_arrow)
    partition = r"x=[^/]*/a\.parquet, row 1: x {}"
    takes = lambda value: is_unicode(value) and value  # noqa: E731
    yield "partitions", Door(_partitions, _ALL, partition, takes, slow=True)
    yield "missing partitions", Door(_partitions, _ALL, partition, lambda value: value is None)
    for name, spell, takes in (("JSON", json.dumps, _is_json), ("literals", repr, _is_literal)):
        yield name, Door(_objects(spell), _ALL, r"a\.json, line 2: x {}", takes)
    candidates = r"--candidates|a\.txt, line 2: an item id {}"
    yield "candidates", Door(_candidates, _IDS, candidates, lambda value: is_unicode(value) and value)
    yield "request", Door(_request, _MODEL, "user 2: feature 'x' {}")
    yield "request lists", Door(_request_lists, _IDS, "user 2: feature 'x' {}")
    for name, (make, takes) in CONTAINERS.items():
        yield f"ids {name}", Door(_ids(make), _IDS, "candidates: an item id {}.*, place 2$", takes, required=True)
        yield f"onnx {name}", Door(_encoded(make), _MODEL, "x, row 2 {}", takes)
    pairs: Mapping[str, Callable[[list[Any]], Any]] = {
        "onnx lists": lambda values: [[value] for value in values],
        "onnx matrix": lambda values: _numpy_objects(values)[:, np.newaxis],
    }
    for name, make in pairs.items():
        yield name, Door(_encoded(make, "sequence"), _IDS, "x, row 2 {}")


DOORS = dict(doors())
