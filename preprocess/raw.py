"""Raw files as they lie on disk, and the typed tables that are read from them."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from preprocess.addresses import opened
from preprocess.engines import Engine
from preprocess.names import ROW, only
from prerank.errors import InputError
from prerank.parquet_folders import SUFFIX as PARQUET
from prerank.parquet_folders import parquet_files
from prerank.values import MISSING_INTEGER, MISSING_TEXT, Kind, short

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Column:
    """One column of a delimited file.

    Attributes:
        name: its name in the typed table.
        kind: what its values have to be, see :mod:`prerank.values`.
        required: a missing value is an error.
        missing: another spelling of a missing value, besides those of the contract.
        source: its name in the file's header, if that is another.
        per_second: units of an integer time in a second.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    missing: str = ""
    source: str = ""
    per_second: int = 1

    @property
    def title(self) -> str:
        """Its name in the file."""
        return self.source or self.name


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written.

    Attributes:
        columns: the columns; with a header those that must be there, in any order and among others, whatever blanks
            are around their names.
        delimiter: between two values; may be several characters where there are no quotes.
        header: the first line names the columns.
        quote: encloses values that hold the delimiter or a line end, or empty.
        encoding: "latin-1" or "utf-8".
    """

    columns: tuple[Column, ...]
    delimiter: str
    header: bool = False
    quote: str = ""
    encoding: str = "latin-1"


@dataclass(frozen=True)
class RawFile:
    """A raw file, or a folder of Parquet files, as its bytes are.

    Attributes:
        path: where it is.
        sha256: checksum of the bytes on disk; of a folder, also of the names.
        bytes: size on disk.
        lines: number of lines, unpacked, without blank ones at the end; of no meaning for Parquet.
        files: the files of a folder, in the order of their names; else the file.
    """

    path: Path
    sha256: str
    bytes: int
    lines: int
    files: tuple[Path, ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether it holds Parquet; a folder does."""
        return bool(self.files) or self.path.suffix == PARQUET

    @classmethod
    def inspect(cls, path: Path) -> RawFile:
        """Read the bytes once.

        Raises:
            InputError: it cannot be read, is empty, is a damaged gzip file, or is a folder of other files than Parquet.
        """
        if path.is_dir():
            return _inspect_folder(path)
        digest = hashlib.sha256()
        try:
            _add_bytes(digest, path)
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


def _inspect_folder(folder: Path) -> RawFile:
    digest, size = hashlib.sha256(), 0
    files = sorted(parquet_files(folder), key=str)
    try:
        for file in files:
            digest.update(str(file)[len(str(folder)) :].encode() + b"\0")
            _add_bytes(digest, file)
            size += file.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=folder) from error
    return RawFile(folder, digest.hexdigest(), size, 0, tuple(files))


def _add_bytes(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)


def _count_lines(path: Path) -> int:
    lines, tail = 0, b""
    with opened(path) as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            lines += chunk.count(b"\n")
            tail = chunk
    text = tail.rstrip(b"\r\n")
    return lines + 1 - tail[len(text) :].count(b"\n") if text else 0


@dataclass(frozen=True)
class Place:
    """Where a row lies, for messages: "line 7" or "row 7" of a file, from 1."""

    path: Path
    unit: str
    number: int


@dataclass(frozen=True)
class RawTable:
    """A typed table and the file it came from.

    Attributes:
        file: the raw file.
        table: its columns and :data:`preprocess.names.ROW`, the 0-based number of the row.
        place: where a row of this number lies.
    """

    file: RawFile
    table: ir.Table
    place: Callable[[int], Place]

    def with_table(self, table: ir.Table) -> RawTable:
        """Another table with the same rows."""
        return replace(self, table=table)

    def check(self, engine: Engine, bad: ir.Table, message: Callable[[Mapping[str, Any]], str]) -> None:
        """Raise an error at the first of some rows.

        Args:
            engine: runs the check.
            bad: rows of `table` (with their numbers) that are wrong; none if all is well.
            message: says of the first of them, by its columns, what is wrong.

        Raises:
            InputError: `bad` has a row.
        """
        if first := engine.one(bad.order_by(ROW)):
            raise self.error(first[ROW], message(first))

    def error(self, row: int, message: str) -> InputError:
        """An error about one row."""
        place = self.place(row)
        return InputError(message, path=f"{place.path}, {place.unit} {place.number}")

    def check_unique(self, engine: Engine, key: str) -> None:
        """Raise an error if two rows have the same `key`.

        Raises:
            InputError: at the second of them.
        """
        earlier = self.table.group_by(key).agg(_first=self.table[ROW].min())
        joined = self.table.join(earlier, key)
        repeated = only(joined.filter(joined[ROW] > joined["_first"]), key, ROW, "_first")

        def message(row: Mapping[str, Any]) -> str:
            first = self.place(row["_first"])
            return f"{key} {short(row[key]).strip(chr(39))} is already on {first.unit} {first.number}"

        self.check(engine, repeated, message)

    def one_each(self, engine: Engine, key: str, columns: Sequence[str], title: str | None = None) -> ir.Table:
        """One line for each value of `key`, with its columns as on its first line.

        Values are compared as a model sees them: a missing list is an empty one, whichever way it is spelt.

        Args:
            engine: runs the check.
            key: name of a column.
            columns: names of others.
            title: what the message calls `key`, if not by its name.

        Raises:
            InputError: at the first line that has another value than an earlier one of the same `key`.
        """
        first = engine.save(self.first_of_each(key, columns))
        if columns:
            both = only(self.table, ROW, key, *columns).join(first, key, rname="_first_{name}")
            differs = [(_differ(both[name], both[f"_first_{name}"]), name) for name in columns]
            found = only(both, ROW, key, _column=ibis.cases(*differs))
            self.check(
                engine,
                found.filter(found["_column"].notnull()),
                lambda row: f"{title or key} {row[key]} has other values on an earlier line ({row['_column']})",
            )
        return first

    def first_of_each(self, key: str, columns: Sequence[str]) -> ir.Table:
        """One line for each value of `key`, with its columns as on its first line, whatever the others have."""
        table = only(self.table, ROW, key, *columns)
        numbered = table.mutate(_place=ibis.row_number().over(group_by=table[key], order_by=table[ROW]))
        return numbered.filter(numbered["_place"] == 0).drop("_place", ROW)


def _differ(value: ir.Value, other: ir.Value) -> ir.BooleanValue:
    """Whether a model sees something else in two values of a column."""
    if not isinstance(value, ir.ArrayValue):
        return ~value.identical_to(other)
    empty = ibis.literal([], value.type())
    value, other = value.fill_null(empty), other.fill_null(empty)
    return ~_padded(value, other.length()).identical_to(_padded(other, value.length()))


def _padded(value: ir.ArrayValue, length: ir.IntegerValue) -> ir.ArrayValue:
    """A list of ids, null where an element is missing, and after its end up to a length."""
    kind = value.type().value_type
    missing = MISSING_TEXT if kind.is_string() else MISSING_INTEGER
    nulls = ibis.array([ibis.null(kind)]).repeat(ibis.greatest(length - value.length(), 0))
    return value.map(lambda element: element.nullif(missing)).concat(nulls)
