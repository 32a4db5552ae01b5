"""Reads files with one object a line, as JSON or as a Python literal, plain or gzip, in bounded memory.

Blocks of whole lines go through Arrow's JSON reader. A block that it does not take, because its lines are Python
literals or because one is wrong, is read line by line: literals by `ast.literal_eval`, which builds values and runs
nothing, and the first wrong line is named.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.json

from preprocess.addresses import opened
from preprocess.names import ROW
from preprocess.text_files import check_text
from prerank import values as contract
from prerank.columns import TYPES, column
from prerank.errors import InputError
from prerank.values import Kind, WrongValueError, missing, short

_BLOCK = 1 << 23
_LONGEST_LINE = 1 << 26
_PATHS = pa.list_(pa.list_(pa.string()))


@dataclass(frozen=True)
class Member:
    """One member of the objects.

    Attributes:
        name: its name.
        kind: what it has to be, see :mod:`prerank.values`, or "paths", a list of lists of text.
        required: an object without it is an error, and so is a missing value.
    """

    name: str
    kind: Kind | Literal["paths"] = "text"
    required: bool = False

    @property
    def type(self) -> pa.DataType:
        """What it becomes."""
        return _PATHS if self.kind == "paths" else TYPES[self.kind]


def schema(members: Sequence[Member]) -> pa.Schema:
    """The columns of :func:`read`: :data:`preprocess.names.ROW` int64 and each member."""
    return pa.schema([(ROW, pa.int64()), *((member.name, member.type) for member in members)])


def read(path: Path, members: Sequence[Member]) -> Iterator[pa.RecordBatch]:
    """The members of each line's object, with the 0-based number of the line. Others are left out.

    Raises:
        InputError: the file is no text, a line is neither JSON nor a literal, is no object, or a member is missing or
            of another kind.
    """
    check_text(path)
    first = 0
    for block in _blocks(path):
        lines = block.count(b"\n")
        batch = _by_arrow(block, lines, members)
        if batch is None:
            batch = _by_line(path, first, block, members)
        rows = pa.array(range(first, first + lines), pa.int64())
        yield pa.RecordBatch.from_arrays([rows, *batch.columns], schema=schema(members))
        first += lines


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time, each ended by a newline; empty lines at the end are left out."""
    rest = b""
    with opened(path) as file:
        while chunk := file.read(_BLOCK):
            data = rest + chunk
            end = data.rfind(b"\n", 0, len(data.rstrip(b"\r\n"))) + 1
            if end:
                yield data[:end]
            rest = data[end:]
            if len(rest) > _LONGEST_LINE:
                raise InputError(f"a line of more than {_LONGEST_LINE >> 20} MB", path=path)
    if text := rest.rstrip(b"\r\n"):
        yield text + b"\n"


def _by_arrow(block: bytes, lines: int, members: Sequence[Member]) -> pa.RecordBatch | None:
    """A block of JSON, or None where it is not or where a value needs a closer look."""
    # Arrow 26 crashes on a line that is null, so only objects go in.
    if not block.startswith(b"{") or block.count(b"\n{") != lines - 1:
        return None
    options = pa.json.ParseOptions(
        explicit_schema=pa.schema([(member.name, member.type) for member in members]),
        unexpected_field_behavior="ignore",
    )
    try:
        table = pa.json.read_json(pa.BufferReader(block), pa.json.ReadOptions(block_size=len(block) + 1), options)
        table.validate(full=True)
    except pa.ArrowInvalid:
        return None
    if table.num_rows != lines:
        return None
    try:
        arrays = [_by_contract(table[member.name], member) for member in members]
    except WrongValueError:
        return None
    if any(member.required and array.null_count for member, array in zip(members, arrays, strict=True)):
        return None
    return pa.RecordBatch.from_arrays(arrays, names=[member.name for member in members])


def _by_contract(found: pa.ChunkedArray, member: Member) -> pa.Array:
    return found.combine_chunks() if member.kind == "paths" else column(found, member.kind)


def _by_line(path: Path, first: int, block: bytes, members: Sequence[Member]) -> pa.RecordBatch:
    values: dict[str, list[Any]] = {member.name: [] for member in members}
    for number, line in enumerate(block.split(b"\n")[:-1], first + 1):
        found = _parse(path, number, line)
        for member in members:
            given = found.get(member.name)
            try:
                value = _read(given, member)
            except WrongValueError as error:
                message = f"{member.name} has to be {error.expected}. Received: {short(given)}"
                raise InputError(message, path=path, line=number) from error
            if value is None and member.required:
                what = f"{member.name} {missing(given)}" if member.name in found else f"there is no {member.name}"
                raise InputError(what, path=path, line=number)
            values[member.name].append(value)
    arrays = [pa.array(values[member.name], member.type) for member in members]
    return pa.RecordBatch.from_arrays(arrays, names=[member.name for member in members])


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        text = line.strip().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not utf-8 ({error.reason})", path=path, line=number) from error
    if not text:
        raise InputError("the line is empty", path=path, line=number)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as not_json:
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            what = f"neither JSON ({not_json}) nor a Python literal" if text.startswith('{"') else "no Python literal"
            raise InputError(f"{what}. Received: {_short(text)}", path=path, line=number) from error
    if not isinstance(found, dict):
        raise InputError(f"an object with named members expected. Received: {_short(found)}", path=path, line=number)
    return found


def _read(value: Any, member: Member) -> Any:
    if member.kind != "paths":
        return contract.read(value, member.kind)
    if value is None or _is_paths(value):
        return value
    raise WrongValueError("a list of lists of text", value)


def _is_paths(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(path, list) and all(map(_is_text, path)) for path in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and (not value or contract.read(value, "text") is not None)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
