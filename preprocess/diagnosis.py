"""Finds the first line of a raw file that does not follow its layout. Slow, and run on bad files only."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.addresses import opened
from prerank.errors import InputError

if TYPE_CHECKING:
    from preprocess.raw import Column, Layout

NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$"
"""How a decimal number is spelt."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_CONTROL = re.compile("[\x00\x80-\x9f]")
_INT64 = range(-(2**63), 2**63)


def first_line(path: Path, layout: Layout) -> list[str]:
    """The values of the first line.

    Raises:
        InputError: it cannot be decoded.
    """
    return next(_rows(path, layout))[1]


def raise_first(path: Path, layout: Layout, names: list[str]) -> None:
    """Raise an error at the first line that is wrong; return if none is found.

    Args:
        path: the raw file.
        layout: how it should be written.
        names: the names of its columns, in the order of the file.

    Raises:
        InputError: with the file and the line.
    """
    places = [(names.index(column.name), column) for column in layout.columns]
    blank = 0
    for number, values in _rows(path, layout):
        if number == 1 and layout.header:
            continue
        if not any(values):
            blank = blank or number
        elif blank:
            raise InputError("the line is empty", path=path, line=blank)
        elif message := _wrong_shape(values, names, layout) or _wrong_value(values, places):
            raise InputError(message, path=path, line=number)


def _wrong_shape(values: list[str], names: list[str], layout: Layout) -> str | None:
    if len(values) == len(names):
        return None
    return f"{len(names)} columns expected ({layout.delimiter.join(names)}). Received: {len(values)} columns"


def _wrong_value(values: list[str], places: list[tuple[int, Column]]) -> str | None:
    for place, column in places:
        value = values[place]
        if value in ("", column.missing):
            if column.required:
                return f"{column.name} is {value or 'empty'}"
        elif column.kind == "int" and not (_INTEGER.fullmatch(value) and int(value) in _INT64):
            return f"{column.name} has to be an integer. Received: {value!r}"
        elif column.kind == "number" and not re.fullmatch(NUMBER, value):
            return f"{column.name} has to be a number. Received: {value!r}"
    return None


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """1-based line numbers and values."""
    lines = _lines(path, layout)
    if not layout.quote:
        for number, line in enumerate(lines, 1):
            yield number, line.split(layout.delimiter)
        return
    reader = csv.reader(lines, delimiter=layout.delimiter, quotechar=layout.quote, strict=True)
    try:
        for values in reader:
            yield reader.line_num, values
    except csv.Error as error:
        raise InputError(f"not well quoted ({error})", path=path, line=max(reader.line_num, 1)) from error


def _lines(path: Path, layout: Layout) -> Iterator[str]:
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.rstrip(b"\r\n").decode(layout.encoding)
            except UnicodeDecodeError as error:
                raise InputError(f"not {layout.encoding} ({error.reason})", path=path, line=number) from error
            if strange := _CONTROL.search(text):
                raise InputError(f"not plain text: holds the byte {ord(strange[0]):#04x}", path=path, line=number)
            yield text
