"""Reads delimited raw files as typed tables, and says exactly which line is wrong when one is.

A file is read twice: once as bytes (checksum, gzip integrity, number of lines), and once by the engine. What the engine
does not take as it should be is read by :mod:`preprocess.records`, which finds the wrong line, or gets by without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from preprocess import records
from preprocess.engines import Engine
from preprocess.names import ROW, only, renamed, with_columns
from preprocess.raw import Column, Layout, Place, RawFile, RawTable
from preprocess.text_files import check_text
from prerank import values as contract
from prerank.columns import lists
from prerank.errors import InputError
from prerank.hints import did_you_mean

_GOOD = "_good"


def read(engine: Engine, file: RawFile, layout: Layout) -> RawTable:
    """Read a raw file as a typed table, by the contract of values.

    Raises:
        InputError: the file is no text, or a line does not follow the layout, with its number.
    """
    check_text(file.path)
    names = _header(file, layout) if layout.header else [column.name for column in layout.columns]
    table = _by_engine(engine, file, layout, names)
    if table is not None:
        return RawTable(file, table, lambda row: Place(file.path, "line", row + 1 + layout.header))
    table = engine.load(records.schema(layout.columns), records.typed(file.path, layout, names))
    return RawTable(file, table, lambda row: Place(file.path, "line", records.line_of(file.path, layout, row)))


def _by_engine(engine: Engine, file: RawFile, layout: Layout, names: Sequence[str]) -> ir.Table | None:
    """The table as the engine reads it, or None where that is not all that the file's lines hold."""
    if layout.quote and records.has_blanks_around_quotes(file.path, layout):
        return None
    # by place: an engine takes no two names that differ in case only, and none that is empty
    texts = {name: f"c{place}" for place, name in enumerate(names)}
    try:
        table = engine.read_numbered(
            file.path,
            [f"c{place}" for place in range(len(names))],
            partial(
                _typed,
                columns=[(texts[column.title], column) for column in layout.columns],
                damaged=records.NO_TEXT[layout.encoding],
            ),
            delimiter=layout.delimiter,
            quote=layout.quote,
            encoding=layout.encoding,
            header=layout.header,
        )
        found = engine.one(table.agg(rows=table.count(), good=table[_GOOD].all()))
    except engine.RESOURCE_ERRORS:
        raise
    except engine.READ_ERRORS:
        return None
    if found["rows"] != file.lines - layout.header or not found["good"]:
        return None
    named = {column.name: table[f"v{place}"] for place, column in enumerate(layout.columns)}
    return renamed(table, {ROW: table[ROW], **named})


def _header(file: RawFile, layout: Layout) -> list[str]:
    names = [name.strip() for name in records.first(file.path, layout)]
    missing = [column.title for column in layout.columns if column.title not in names]
    twice = [column.title for column in layout.columns if names.count(column.title) > 1]
    if missing or twice:
        what = f"no column {', '.join(missing)}" if missing else f"a column's name occurs twice: {twice[0]}"
        hint = (did_you_mean(missing[0], names) if missing else "") or "."
        raise InputError(f"{what} in the header{hint} Received: {', '.join(names)}", path=file.path, line=1)
    if file.lines < 2:
        raise InputError("a header, but no data line", path=file.path)
    return names


def _typed(text: ir.Table, columns: Sequence[tuple[str, Column]], damaged: str) -> Mapping[str, ir.Value]:
    """String columns by the contract of values, named by place; `_good` is false where a value is wrong.

    Args:
        text: the columns.
        columns: the name of each, and what it has to be.
        damaged: a pattern of what no text holds.
    """
    values: dict[str, ir.Value] = {}
    checks: list[ir.BooleanValue] = []
    for place, (name, column) in enumerate(columns):
        value = text[name].nullif(column.missing)
        made, good = _EXPRESSIONS[column.kind](value, column)
        values[f"v{place}"] = made
        if column.kind == "text":
            good = ~value.re_search(damaged)
        checks.append(made.notnull() & good.fill_null(False) if column.required else good.fill_null(True))
    while len(checks) > 1:  # by pairs: hundreds of columns would nest too deep otherwise
        checks = [ibis.and_(*checks[place : place + 2]) for place in range(0, len(checks), 2)]
    return values | {_GOOD: checks[0]}


def _text(value: ir.StringValue, column: Column) -> tuple[ir.Value, ir.BooleanValue]:
    return value, ibis.literal(True)


def _integer(value: ir.StringValue, column: Column) -> tuple[ir.Value, ir.BooleanValue]:
    number = value.try_cast("int64")
    good = value.re_search(contract.INTEGER) & number.notnull()
    return number.nullif(contract.MISSING_INTEGER), good


def _seconds(value: ir.StringValue, column: Column) -> tuple[ir.Value, ir.BooleanValue]:
    number, good = _integer(value, column)
    moment = number if column.per_second == 1 else (number // column.per_second).cast("int64")
    return moment, good & moment.between(contract.EARLIEST, contract.LATEST).fill_null(True)


def _label(value: ir.StringValue, column: Column) -> tuple[ir.Value, ir.BooleanValue]:
    value = (value.lower() == contract.NOT_A_NUMBER).ifelse(ibis.null("string"), value)
    number = value.try_cast("float64")
    good = value.re_search(contract.NUMBER) & number.notnull() & (number.abs() < float("inf"))
    return number, good


def _number(value: ir.StringValue, column: Column) -> tuple[ir.Value, ir.BooleanValue]:
    number, good = _label(value, column)
    fits = number.abs() < contract.TOO_LARGE
    rounded = fits.ifelse(number, ibis.null("float64")).cast("float32").cast("float64")
    return rounded.nullif(contract.MISSING_INTEGER), good & fits


_EXPRESSIONS = {"text": _text, "int": _integer, "seconds": _seconds, "label": _label, "number": _number}


def split(
    engine: Engine, raw: RawTable, name: str, separator: str, kind: contract.Kind, title: str | None = None
) -> RawTable:
    """The table with a column of texts as lists; an empty piece is a missing element, and an empty text no list.

    Args:
        engine: runs the check.
        raw: has the column.
        name: which.
        separator: stands between the pieces.
        kind: what they have to be, "text" or "int".
        title: what messages call the column, if not by its name.

    Raises:
        InputError: a piece is no value of the kind, "text" or "int", with its line.
    """
    texts = raw.table[name].nullif("").split(separator)
    if kind == "text":
        return raw.with_table(with_columns(raw.table, {name: texts}))

    def is_wrong(text: ir.StringValue) -> ir.BooleanValue:
        return (text != "") & ~(text.re_search(contract.INTEGER) & text.try_cast("int64").notnull())

    def message(row: Mapping[str, Any]) -> str:
        expected = contract.LIST + contract.EXPECTED[kind]
        try:
            lists(pa.array([row["_given"]]), kind, separator)
        except contract.WrongValueError as error:  # it knows more
            expected = error.expected
        return f"{title or name} has to be {expected}. Received: {contract.short(row['_given'])}"

    wrong = raw.table.filter(texts.filter(is_wrong).length() > 0)
    raw.check(engine, only(wrong, ROW, _given=wrong[name]), message)
    return raw.with_table(with_columns(raw.table, {name: texts.map(lambda text: text.try_cast("int64"))}))
