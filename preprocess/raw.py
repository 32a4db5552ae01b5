"""Reads delimited raw files as typed tables, and says exactly which line is wrong when one is.

A file is read three times at most: once as bytes (checksum, gzip integrity, number of lines), once by
the engine, and, only when something is wrong, once by :mod:`preprocess.diagnosis`, line by line.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from preprocess import diagnosis
from preprocess.addresses import opened
from preprocess.engines import Engine
from prerank.errors import InputError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Column:
    """One column of a raw file.

    Attributes:
        name: its name in the typed table, and in the file's header if it has one.
        kind: "int" a decimal integer of 64 bits, "number" a decimal number, "text" anything.
        required: an empty value is an error, not a missing value.
        missing: another spelling of a missing value, besides the empty one.
    """

    name: str
    kind: Literal["int", "number", "text"] = "text"
    required: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Layout:
    """How a raw file is written.

    Attributes:
        columns: the columns; with a header those that must be there, in any order and among others, whatever blanks
            are around their names.
        delimiter: between two values; may be several characters.
        header: the first line names the columns.
        quote: encloses values that hold the delimiter, or empty.
        encoding: "latin-1" or "utf-8".
    """

    columns: tuple[Column, ...]
    delimiter: str
    header: bool = False
    quote: str = ""
    encoding: str = "latin-1"


@dataclass(frozen=True)
class RawFile:
    """A raw file as its bytes are.

    Attributes:
        path: where it is.
        sha256: checksum of the bytes on disk.
        bytes: size on disk.
        lines: number of lines, unpacked, without blank ones at the end.
    """

    path: Path
    sha256: str
    bytes: int
    lines: int

    @classmethod
    def inspect(cls, path: Path) -> RawFile:
        """Read a file's bytes once.

        Raises:
            InputError: it cannot be read, is empty, or is a damaged gzip file.
        """
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                for chunk in iter(lambda: file.read(_CHUNK), b""):
                    digest.update(chunk)
            lines = _count_lines(path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"damaged or truncated gzip file ({error})", path=path) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
        if not lines:
            raise InputError("is empty", path=path)
        return cls(path, digest.hexdigest(), path.stat().st_size, lines)


def plain_or_gz(path: Path) -> Path | None:
    """The file as it is called, or as `.gz`; None if there is neither."""
    return next((file for file in (path, path.with_name(path.name + ".gz")) if file.is_file()), None)


def _count_lines(path: Path) -> int:
    lines, tail = 0, b""
    with opened(path) as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            lines += chunk.count(b"\n")
            tail = chunk
    text = tail.rstrip(b"\r\n")
    return lines + 1 - tail[len(text) :].count(b"\n") if text else 0


@dataclass(frozen=True)
class RawTable:
    """A typed table and the file it came from.

    Attributes:
        file: the raw file.
        table: its columns and `row`, the 0-based data line.
        header: whether the file's first line names the columns.
    """

    file: RawFile
    table: ir.Table
    header: bool = False

    def check(self, engine: Engine, bad: ir.Table, message: str) -> None:
        """Raise an error at the first of some rows.

        Args:
            engine: runs the check.
            bad: rows of `table` (with `row`) that are wrong; none if all is well.
            message: what is wrong, with names of columns of `bad` in braces.

        Raises:
            InputError: `bad` has a row.
        """
        if first := engine.one(bad.order_by("row")):
            raise self.error(first.pop("row"), message.format(**first))

    def error(self, row: int, message: str) -> InputError:
        """An error about one row."""
        return InputError(message, path=self.file.path, line=row + 1 + self.header)

    def check_unique(self, engine: Engine, key: str) -> None:
        """Raise an error if two rows have the same `key`.

        Raises:
            InputError: at the second of them.
        """
        earlier = self.table.group_by(key).agg(first=self.table.row.min())
        repeated = self.table.join(earlier, key).filter(lambda joined: joined.row > joined.first)
        offset = 1 + self.header
        repeated = repeated.select(key, "row", line=repeated.first + offset)
        self.check(engine, repeated, f"{key} {{{key}}} is already on line {{line}}")

    def one_each(self, engine: Engine, key: str, columns: Sequence[str]) -> ir.Table:
        """One line for each value of `key`, with its columns as on its first line.

        Raises:
            InputError: at the first line that has another value than an earlier one of the same `key`.
        """
        first = engine.save(self.first_of_each(key, columns))
        if columns:
            both = self.table.select("row", key, *columns).join(first, key, rname="first_{name}")
            differs = [(~both[name].identical_to(both[f"first_{name}"]), name) for name in columns]
            found = both.select("row", key, column=ibis.cases(*differs))
            message = f"{key} {{{key}}} has other values on an earlier line ({{column}})"
            self.check(engine, found.filter(found.column.notnull()), message)
        return first

    def first_of_each(self, key: str, columns: Sequence[str]) -> ir.Table:
        """One line for each value of `key`, with its columns as on its first line, whatever the others have."""
        table = self.table.select("row", key, *columns)
        numbered = table.mutate(place=ibis.row_number().over(group_by=table[key], order_by=table.row))
        return numbered.filter(numbered.place == 0).drop("place", "row")


def read(engine: Engine, file: RawFile, layout: Layout) -> RawTable:
    """Read a raw file as a typed table.

    Raises:
        InputError: a line does not follow the layout, with its number.
    """
    names = _header(file, layout) if layout.header else [column.name for column in layout.columns]
    try:
        table = engine.read_numbered(
            file.path,
            names,
            partial(_typed, columns=layout.columns),
            delimiter=layout.delimiter,
            quote=layout.quote,
            encoding=layout.encoding,
            header=layout.header,
        )
        found = engine.one(table.agg(rows=table.count(), good=table.well_formed.all()))
    except engine.RESOURCE_ERRORS:
        raise
    except engine.READ_ERRORS as error:
        diagnosis.raise_first(file.path, layout, names)
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", path=file.path) from error
    if found["rows"] != file.lines - layout.header or not found["good"]:
        diagnosis.raise_first(file.path, layout, names)
        raise InputError(f"{file.lines} lines, but {found['rows']} rows could be read", path=file.path)
    return RawTable(file, table.drop("well_formed"), layout.header)


def _header(file: RawFile, layout: Layout) -> list[str]:
    names = [name.strip().removeprefix("\ufeff") for name in diagnosis.first_line(file.path, layout)]
    missing = [column.name for column in layout.columns if column.name not in names]
    if missing or len(set(names)) < len(names):
        what = f"no column {', '.join(missing)}" if missing else "a column's name occurs twice"
        raise InputError(f"{what} in the header. Received: {', '.join(names)}", path=file.path, line=1)
    if file.lines < 2:
        raise InputError("a header, but no data line", path=file.path)
    return names


def _typed(text: ir.Table, columns: Iterable[Column]) -> dict[str, Any]:
    """String columns as the layout's types; `well_formed` is false where a value is not of its type."""
    values: dict[str, Any] = {}
    checks: list[Any] = []
    for column in columns:
        value = text[column.name]
        if column.missing:
            value = value.nullif(column.missing)
        good = value.notnull()
        if column.kind == "int":
            values[column.name] = value.try_cast("int64")
            good = (values[column.name].cast("string") == value).fill_null(False)
        elif column.kind == "number":
            values[column.name] = value.try_cast("float64")
            good = value.re_search(diagnosis.NUMBER).fill_null(False) & values[column.name].notnull()
        else:
            values[column.name] = value
        checks.append(good if column.required else good | value.isnull())
    while len(checks) > 1:  # by pairs: hundreds of columns would nest too deep otherwise
        checks = [ibis.and_(*checks[place : place + 2]) for place in range(0, len(checks), 2)]
    return values | {"well_formed": checks[0]}
