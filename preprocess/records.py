"""Reads a delimited file record by record, exactly, and names the first line that does not follow its layout.

Slow: an engine reads files, and this what an engine does not take, which is either wrong or rare: line ends within
quotes, and line ends of several kinds.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from preprocess.addresses import opened
from preprocess.names import ROW
from preprocess.raw import Column, Layout
from prerank.columns import TYPES, column
from prerank.errors import InputError
from prerank.values import WrongValueError, missing, short

_ROWS = 1 << 16
_CHUNK = 1 << 20
_LONGEST = 1 << 30
NO_TEXT = {"latin-1": r"[\x00\x80-\x9f]", "utf-8": r"\x00"}
"""What only a damaged file holds, as a pattern that Python and the engines read alike."""

Record = tuple[int, list[str]]
"""The 1-based line on which a record begins, and its values."""


def records(path: Path, layout: Layout) -> Iterator[Record]:
    """All records of a file, the header and blank lines too; a blank line has one empty value.

    Raises:
        InputError: a line cannot be decoded, holds a byte that no text has, or is not well quoted.
    """
    with opened(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding, newline="")
        try:
            yield from _quoted(path, text, layout) if layout.quote else _plain(path, text, layout)
        except UnicodeDecodeError as error:
            raise _undecodable(path, layout, error) from error
        finally:
            text.detach()


def _plain(path: Path, text: io.TextIOWrapper, layout: Layout) -> Iterator[Record]:
    for number, line in enumerate(_checked(path, text, layout), 1):
        yield number, line.rstrip("\r\n").split(layout.delimiter)


def _quoted(path: Path, text: io.TextIOWrapper, layout: Layout) -> Iterator[Record]:
    before = csv.field_size_limit(_LONGEST)
    lines = _checked(path, text, layout)
    reader = csv.reader(lines, delimiter=layout.delimiter, quotechar=layout.quote, strict=True)
    start = 1
    try:
        for values in reader:
            yield start, values or [""]
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"not well quoted ({error})", path=path, line=start) from error
    finally:
        csv.field_size_limit(before)  # it is the whole process's


def _checked(path: Path, lines: Iterator[str], layout: Layout) -> Iterator[str]:
    strange = re.compile(NO_TEXT[layout.encoding])
    for number, line in enumerate(lines, 1):
        if found := strange.search(line):
            raise InputError(f"not plain text: holds the byte {ord(found[0]):#04x}", path=path, line=number)
        yield line


def has_blanks_around_quotes(path: Path, layout: Layout) -> bool:
    """Whether a quote may stand after blanks that begin a value, or before blanks that end it.

    Engines take such quotes in ways of their own, and the csv standard takes none. It may be one within a quoted value.
    """
    mark, end = (re.escape(text.encode()) for text in (layout.quote, layout.delimiter))
    blanks = b"[ \t]" if layout.delimiter != "\t" else b" "
    pattern = re.compile(b"(?:^|[\r\n]|%b)%b+%b|%b%b+(?:$|[\r\n]|%b)" % (end, blanks, mark, mark, blanks, end))
    tail = b""
    with opened(path) as file:
        while chunk := file.read(_CHUNK):
            data = tail + chunk if tail else chunk.removeprefix(codecs.BOM_UTF8)
            if pattern.search(data):
                return True
            tail = data[max(len(data.rstrip(b" \t")) - 1, 0) :]  # a value's end and the blanks after it
    return False


def _undecodable(path: Path, layout: Layout, error: UnicodeDecodeError) -> InputError:
    line = None
    with opened(path) as file:
        for number, data in enumerate(file, 1):
            try:
                data.decode(layout.encoding)
            except UnicodeDecodeError:
                line = number
                break
    return InputError(f"not {layout.encoding} ({error.reason})", path=path, line=line)


def first(path: Path, layout: Layout) -> list[str]:
    """The values of the first line.

    Raises:
        InputError: it cannot be read.
    """
    return next(records(path, layout), (1, [""]))[1]


def line_of(path: Path, layout: Layout, row: int) -> int:
    """The line, from 1, on which a data row begins, whose number counts from 0."""
    return next(itertools.islice(records(path, layout), row + layout.header, None))[0]


def schema(columns: Sequence[Column]) -> pa.Schema:
    """The columns of :func:`typed`."""
    return pa.schema([(ROW, pa.int64()), *((found.name, TYPES[found.kind]) for found in columns)])


def typed(path: Path, layout: Layout, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The layout's columns as the contract of values has them, and :data:`preprocess.names.ROW`.

    Args:
        path: the raw file.
        layout: how it is written.
        names: the names of its columns, in its order.

    Raises:
        InputError: at the first line that is wrong.
    """
    places = [names.index(found.title) for found in layout.columns]
    pending: list[Record] = []
    row, blank = 0, 0
    for number, values in itertools.islice(records(path, layout), int(layout.header), None):
        if values == [""] and len(names) > 1:
            blank = blank or number
            continue
        message = "the line is empty" if blank else _wrong_shape(values, names, layout)
        if message:
            _batch(path, layout, places, pending, row)  # an earlier line may be wrong too
            raise InputError(message, path=path, line=blank or number)
        pending.append((number, values))
        if len(pending) == _ROWS:
            yield _batch(path, layout, places, pending, row)
            row, pending = row + len(pending), []
    if pending:
        yield _batch(path, layout, places, pending, row)


def _wrong_shape(values: list[str], names: Sequence[str], layout: Layout) -> str | None:
    if len(values) == len(names):
        return None
    return f"{len(names)} columns expected ({layout.delimiter.join(names)}). Received: {len(values)} columns"


def _batch(path: Path, layout: Layout, places: Sequence[int], pending: Sequence[Record], row: int) -> pa.RecordBatch:
    arrays: list[pa.Array] = [pa.array(range(row, row + len(pending)), pa.int64())]
    wrong: list[tuple[int, str]] = []
    for place, found in zip(places, layout.columns, strict=True):
        texts = pa.array([values[place] for _, values in pending], pa.string())
        try:
            arrays.append(_converted(texts, found))
        except WrongValueError as error:
            wrong.append(
                (error.place or 0, f"{found.title} has to be {error.expected}. Received: {short(error.value)}")
            )
            continue
        if found.required and arrays[-1].null_count:
            first_missing = pc.index(pc.is_null(arrays[-1]), True).as_py()
            wrong.append((first_missing, f"{found.title} {missing(texts[first_missing].as_py())}"))
    if wrong:
        place, message = min(wrong)
        raise InputError(message, path=path, line=pending[place][0])
    return pa.RecordBatch.from_arrays(arrays, schema=schema(layout.columns))


def _converted(texts: pa.Array, found: Column) -> pa.Array:
    if found.missing:
        texts = pc.if_else(pc.equal(texts, found.missing), pa.scalar(None, pa.string()), texts)
    return column(texts, found.kind, found.per_second)
