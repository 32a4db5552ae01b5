"""Writes a first schema for a file: `python -m preprocess.schema guess ads.parquet > ads.yaml`.

It looks at types, names and cardinalities of the columns, and at which columns follow from the user or the item. Each
guess has a comment that says why. A person has to read it: what follows from the outcome must not become a field.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from prerank.errors import InputError
from prerank.parquet_folders import parquet_files
from prerank.terminal import Parser, positive, run, write

_USER = ("user_id", "userid", "uid", "user", "customer_id", "customer", "member_id", "visitor_id", "viewer_id")
_ITEM = (
    "item_id",
    "itemid",
    "iid",
    "item",
    "product_id",
    "product",
    "ad_id",
    "adgroup_id",
    "movie_id",
    "video_id",
    "sku",
)
_LABEL = (
    "label",
    "click",
    "clicked",
    "is_click",
    "clk",
    "target",
    "bought",
    "order",
    "ordered",
    "purchase",
    "conversion",
)
_TIME = ("time", "timestamp", "time_stamp", "ts", "event_time", "datetime", "shown_at", "date")
_WEIGHT = ("weight", "sample_weight", "importance", "ipw")
_REQUEST = ("request_id", "request", "query_id", "impression_id", "search_id")
_TEACHER = ("teacher", "teacher_logit", "ranker_logit")
_POSITION = ("position", "pos", "rank", "slot_position")
_CATEGORY = ("category", "cate_id", "category_id", "genres", "genre", "cate")
_FEW = 100
"""An integer with at most so many values is a category, whatever it is called."""
_UNITS = ((10**17, "ns"), (10**14, "us"), (10**11, "ms"))


@dataclass
class _Line:
    """A field of the schema, with the comment that explains it."""

    name: str
    keys: dict[str, str]
    why: str


def guess(path: Path, rows: int = 200_000, **given: str | None) -> str:
    """The text of a schema for a file.

    Args:
        path: Parquet, a folder of it, or csv with a header.
        rows: how many rows to look at, from the beginning.
        given: columns that are known: user_id, item_id, label, time.

    Raises:
        InputError: the file cannot be read or is empty, or no column looks like a user's or an item's id.
    """
    table = _read(path, rows)
    if not len(table):
        raise InputError("there are no rows", path=path)
    frame = table.to_pandas()
    columns = _Columns(frame, {key: value for key, value in given.items() if value}, path)
    user, item = columns.need("user_id", _USER), columns.need("item_id", _ITEM)
    label, time = columns.outcome(), columns.time(table.schema)
    roles = {
        key: columns.find(key, names)
        for key, names in (("weight", _WEIGHT), ("request", _REQUEST), ("teacher", _TEACHER))
    }
    taken = {name for name in (label, time, *roles.values()) if name}
    names = _names([name for name in frame.columns if name not in taken])
    lines, context, static, left_out = [], [], [], []
    for column, name in names.items():
        if column in columns.outcomes:
            left_out.append(f"# left out: {column}, 0 or 1 as {label} is. Is it known before the item is shown?")
            continue
        kind, why = _kind(frame[column], table.schema.field(column).type, column in (user, item), column)
        if kind is None:
            left_out.append(f"# left out: {column}, {why}")
            continue
        side, whose = columns.side(column, user, item)
        keys = {"side": side} | kind | ({"column": _quoted(column)} if column != name else {})
        lines.append(_Line(name, keys, f"{why}; {whose}"))
        if whose.startswith("changes"):
            context.append(name)
        elif column != user and kind.get("kind") != "dense":
            static.append(name)
    return _text(
        path, columns, names, lines, context, static, left_out, {"label": label, "time": time, **roles}, (user, item)
    )


class _Columns:
    """Which column plays which role."""

    def __init__(self, frame: pd.DataFrame, given: dict[str, str], path: Path):
        self._frame, self._given, self._path = frame, given, path
        self.outcomes: list[str] = []
        self.unit: str | None = None
        for key, name in given.items():
            if name not in frame.columns:
                raise InputError(f"--{key}: there is no column {name!r}", path=path)

    def find(self, key: str, names: tuple[str, ...]) -> str | None:
        """The given column, or the one with the likeliest name."""
        if key in self._given:
            return self._given[key]
        lower = {_snake(column): column for column in reversed(self._frame.columns)}
        return next((lower[name] for name in names if name in lower), None)

    def need(self, key: str, names: tuple[str, ...]) -> str:
        found = self.find(key, names)
        if found is None:
            raise InputError(
                f"no column looks like it: name one with --{key}, of {', '.join(self._frame.columns)}", path=self._path
            )
        return found

    def outcome(self) -> str | None:
        """The label; further columns with a label's name are outcomes too."""
        label = self.find("label", _LABEL)
        self.outcomes = [
            column for column in self._frame.columns
            if column != label and _snake(column) in _LABEL and set(self._frame[column].dropna().unique()) <= {0, 1}
        ]  # fmt: skip
        return label

    def time(self, schema: pa.Schema) -> str | None:
        found = self.find("time", _TIME)
        if found is None:
            return None
        kind = schema.field(found).type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return found
        if not pa.types.is_integer(kind):
            return None
        largest = self._frame[found].abs().max()
        self.unit = next((unit for least, unit in _UNITS if largest >= least), "s")
        return found

    def side(self, column: str, user: str, item: str) -> tuple[str, str]:
        """Whose a column is, and why: an id's own, or what all rows of a user or an item have alike."""
        if column in (user, item):
            return ("user", "the user's id") if column == user else ("item", "the item's id")
        values = self._frame[column].map(_hashable)
        for side, key in (("item", item), ("user", user)):
            if (
                self._frame[key].duplicated().any()
                and (values.groupby(self._frame[key]).nunique(dropna=False) <= 1).all()
            ):
                return side, f"one value for each {side}"
        return "user", "changes from row to row"


def _kind(values: pd.Series, kind: pa.DataType, is_id: bool, name: str) -> tuple[dict[str, str] | None, str]:
    """The keys of a field that say how it is read, and why; None for what no field can be."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _snake(name) in _POSITION and not is_id:
        return None, "the place in the list: a request does not know it. Its bias would be learned as a feature"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        if pa.types.is_floating(inner):
            return None, "a list of numbers: vectors cannot be fields"
        return {"kind": "sequence"} | ({"type": "int64"} if pa.types.is_integer(inner) else {}), "a list"
    count = values.map(_hashable).nunique()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = values.dropna()
        if not is_id and len(texts) and texts.str.contains("|", regex=False).mean() > 0.1:
            return {"kind": "sequence", "separator": '"|"'}, "texts with | between values"
        return {}, f"{count:,} texts"
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if is_id or count <= _FEW or re.search(r"(^|_)(id|code|type|cate|category)$", _snake(name)):
            return {"type": "int64"}, f"{count:,} integers, as ids or categories"
        return {"kind": "dense"}, f"{count:,} integers, as a number"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return {"kind": "dense"}, "a number"
    return None, f"of type {kind}"


def _text(
    path: Path,
    columns: _Columns,
    names: dict[str, str],
    lines: list[_Line],
    context: list[str],
    static: list[str],
    left_out: list[str],
    roles: dict[str, str | None],
    ids: tuple[str, str],
) -> str:
    made = [f"# A first guess from {path.name}: read every line. docs/own-data.md explains the keys."]
    made += [f"dataset: {_name(path.name.split('.')[0])}", f"user_id: {names[ids[0]]}", f"item_id: {names[ids[1]]}"]
    for key, column in roles.items():
        if column is None:
            continue
        value = (
            f"{{column: {_quoted(column)}, unit: {columns.unit}}}"
            if key == "time" and columns.unit
            else _quoted(column)
        )
        made.append(f"{key}: {value}")
    if roles["label"] is None:
        made.append("# label: no column looks like one, so every row counts as a positive, and --negatives is needed")
    if roles["time"] is None:
        made.append("# time: no column looks like one, so only --split random is possible")
    made.append("fields:")
    for line in lines:
        keys = ", ".join(f"{key}: {value}" for key, value in line.keys.items())
        made.append(f"  {line.name}: {{{keys}}}  # {line.why}")
    made += [f"context: [{', '.join(context)}]"] * bool(context)
    made += [f"static: [{', '.join(static)}]"] * bool(static)
    by_side = {line.name: line.keys["side"] for line in lines}
    category = next((name for name in _CATEGORY if by_side.get(name) == "item" and name not in context), None)
    made += [f"category: {category}"] * bool(category)
    if roles["label"] and roles["time"]:
        made += [f"{key}: {_free(name, by_side)}" for key, name in _MADE.items()]
    return "\n".join([*made, *left_out]) + "\n"


_MADE = {"history": "user_history", "user_mean": "user_mean_label", "item_mean": "item_mean_label"}


def _free(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_made"
    return name


def _read(path: Path, rows: int) -> pa.Table:
    try:
        if path.is_dir() or path.suffix == ".parquet":
            file = sorted(parquet_files(path), key=str)[0] if path.is_dir() else path
            batches = pq.ParquetFile(file).iter_batches(rows)
            first = next(batches, None)
            return pa.table({}) if first is None else pa.Table.from_batches([first])
        if not path.name.endswith((".csv", ".csv.gz")):
            raise InputError("a file of data ends in .parquet, .csv, .csv.gz", path=path)
        return pyarrow.csv.read_csv(path).slice(0, rows)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, np.ndarray | list) else value


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _name(text: str) -> str:
    """A name as schemas have it."""
    name = re.sub(r"[^a-z0-9_]+", "_", _snake(text)).strip("_")
    return (name if name[:1].isalpha() else f"f_{name}")[:100]


def _names(columns: list[str]) -> dict[str, str]:
    """A field's name for each column, no two alike."""
    found: dict[str, str] = {}
    for column in columns:
        name, number = _name(column), 2
        while name in found.values():
            name, number = f"{_name(column)[:90]}_{number}", number + 1
        found[column] = name
    return found


def _quoted(text: str) -> str:
    """A text as YAML has it: as it is if it is a plain name."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) and text.lower() not in (
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
    ):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> None:
    """The command `python -m preprocess.schema`."""
    sys.exit(run(_main))


def _main() -> None:
    parser = Parser(prog="python -m preprocess.schema", description="Help with the schema of own data.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("guess", help="write a first schema for a file to standard output")
    command.add_argument("path", type=Path, metavar="FILE", help="Parquet, a folder of it, or csv with a header")
    command.add_argument("--rows", type=positive, default=200_000, help="rows to look at; default: 200000")
    for key in ("user_id", "item_id", "label", "time"):
        command.add_argument(f"--{key}", metavar="COLUMN", help="the column, where its name does not say so")
    flags = parser.parse_args()
    given = {key: getattr(flags, key) for key in ("user_id", "item_id", "label", "time")}
    write(guess(flags.path, flags.rows, **given).rstrip("\n"))
