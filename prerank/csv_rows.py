"""Reads csv files of results: a header, and rows of as many cells."""

import csv
import io
import math
from collections.abc import Collection
from pathlib import Path

from prerank import reading
from prerank.errors import InputError
from prerank.numbers import number

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LONGEST = 1 << 17
Row = dict[str, str]


def read_rows(path: Path, columns: Collection[str] = ()) -> list[Row]:
    """As :func:`rows`, of a file.

    Raises:
        InputError: as :func:`rows`, or it cannot be read.
    """
    return rows(text_of(path), columns, path)


def read_numbers(path: Path, columns: Collection[str] = ()) -> list[dict[str, float]]:
    """As :func:`numbers`, of a file.

    Raises:
        InputError: as :func:`numbers`, or it cannot be read.
    """
    return numbers(text_of(path), path, columns)


def text_of(path: Path) -> str:
    """The text of a csv file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return reading.read_text(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except InputError as error:
        raise InputError(f"damaged: {error}", path=path) from error


def rows(text: str, columns: Collection[str] = (), path: Path | None = None) -> list[Row]:
    """The rows of a csv text, as texts by column.

    Args:
        text: a header, and rows of as many cells.
        columns: what the header has to have.
        path: where the text is from, for messages.

    Raises:
        InputError: it is no csv, lacks a column or names one twice, or a row has more or fewer cells.
    """
    if "\0" in text:
        raise InputError("damaged: a NUL, expected csv", path=path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"no csv: {error}", path=path, line=reader.line_num) from error
    for line, row in found:
        if any(len(cell) > _LONGEST for cell in row):  # the library's own limit is the whole process's
            raise InputError(f"no csv: a field has more than {_LONGEST:,} characters", path=path, line=line)
    header = found[0][1] if found else []
    if lacking := sorted(set(columns) - set(header)):
        raise InputError(f"no column {', '.join(lacking)}", path=path)
    if len(set(header)) < len(header):
        raise InputError("a column occurs twice", path=path)
    for line, row in found[1:]:
        if len(row) != len(header):
            raise InputError(f"{len(header)} cells expected. Received: {len(row)}", path=path, line=line)
    return [dict(zip(header, row, strict=True)) for _, row in found[1:]]


def numbers(text: str, path: Path | None = None, columns: Collection[str] = ()) -> list[dict[str, float]]:
    """As :func:`rows`, of numbers; a cell may be empty, and is then left out, or `nan` or `inf`.

    Raises:
        InputError: as :func:`rows`, or a cell is no number.
    """
    found = []
    for place, row in enumerate(rows(text, columns, path), 1):
        try:
            found.append({name: _measured(cell) for name, cell in row.items() if cell})
        except InputError as error:
            raise InputError(f"row {place}: {error}", path=path) from error
    return found


def _measured(cell: str) -> float:
    return _NOT_FINITE[cell] if cell in _NOT_FINITE else number(cell)
