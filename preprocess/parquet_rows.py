"""Reads Parquet, a file or a folder of files, as a typed table, and names the column and row that is wrong."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from preprocess.engines import Engine
from preprocess.names import ROW
from preprocess.raw import Place, RawFile, RawTable
from prerank.columns import TYPES, column, lists
from prerank.errors import InputError
from prerank.hints import did_you_mean
from prerank.parquet_folders import partitions
from prerank.values import Kind, WrongValueError, missing, short

_ROWS = 1 << 17


@dataclass(frozen=True)
class Source:
    """A column to read.

    Attributes:
        name: what it is called in the table.
        column: its name in the file.
        kind: what its values, or their elements, have to be, see :mod:`prerank.values`.
        required: a missing value is an error.
        per_second: units of an integer time in a second.
        sequence: whether it holds lists.
        separator: stands between the values of a list that is spelt as one text; empty if none is.
    """

    name: str
    column: str
    kind: Kind
    required: bool = False
    per_second: int = 1
    sequence: bool = False
    separator: str = ""

    @property
    def type(self) -> pa.DataType:
        """What it becomes."""
        return pa.list_(TYPES[self.kind]) if self.sequence else TYPES[self.kind]


def read_parquet(engine: Engine, file: RawFile, sources: Sequence[Source]) -> RawTable:
    """Read some columns of a Parquet file, or of the files of a folder one after another, by the contract of values.

    A folder `name=value` in the folder, as Spark writes partitions, is a column.

    Raises:
        InputError: a file is damaged or lacks a column, or a value is missing or wrong; names the column and the row.
    """
    schema = pa.schema([(ROW, pa.int64()), *((source.name, source.type) for source in sources)])
    files = file.files or (file.path,)
    starts: list[int] = []
    table = engine.load(schema, _rows(file.path, files, starts, sources, schema))

    def place(row: int) -> Place:
        which = bisect.bisect_right(starts, row) - 1
        return Place(files[which], "row", row - starts[which] + 1)

    return RawTable(file, table, place)


def _rows(
    folder: Path, files: Sequence[Path], starts: list[int], sources: Sequence[Source], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of all files; where each file starts goes to `starts`."""
    first = 0
    for path in files:
        starts.append(first)
        for batch in _of_file(path, partitions(folder, path), sources):
            rows = pa.array(range(first, first + len(batch)), pa.int64())
            columns = [converted(batch[source.column], source, path, first - starts[-1]) for source in sources]
            yield pa.RecordBatch.from_arrays([rows, *columns], schema=schema)
            first += len(batch)


def _of_file(path: Path, of_folders: dict[str, str | None], sources: Sequence[Source]) -> Iterator[pa.RecordBatch]:
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as opened:
            names = [*opened.schema_arrow.names, *of_folders]
            wanted = sorted({source.column for source in sources})
            if missing := [name for name in wanted if name not in names]:
                hint = did_you_mean(missing[0], names) or "."
                raise InputError(f"no column {', '.join(missing)}{hint} Received: {', '.join(names)}", path=path)
            if twice := [name for name in wanted if opened.schema_arrow.names.count(name) > 1]:
                raise InputError(f"a column's name occurs twice: {twice[0]}", path=path)
            stored = [name for name in wanted if name not in of_folders]
            for batch in opened.iter_batches(_ROWS, columns=stored):
                for name in wanted:
                    if name in of_folders:
                        values = pa.array([of_folders[name]] * len(batch), pa.string())
                        batch = batch.append_column(name, values)
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"damaged, or no Parquet file ({str(error).splitlines()[0]})", path=path) from error


def converted(values: pa.Array, source: Source, path: Path, first: int) -> pa.Array:
    """A part of a column by the contract of values.

    Args:
        values: as they are in the file.
        source: what they have to be.
        path: the file, for messages.
        first: how many rows of the file are before them.

    Raises:
        InputError: a value is missing or wrong; names the column and the row.
    """
    try:
        found = _cast(values, source.kind, source.per_second, source.sequence, source.separator)
    except WrongValueError as error:
        message = f"{source.column} has to be {error.expected}. Received: {short(error.value)} ({values.type})"
        raise InputError(message, path=f"{path}, row {first + (error.place or 0) + 1}") from error
    if source.required and found.null_count:
        place = pc.index(pc.is_null(found), True).as_py()
        message = f"{source.column} {missing(values[place].as_py())}"
        raise InputError(message, path=f"{path}, row {first + place + 1}")
    return found


def _cast(values: pa.Array, kind: Kind, per_second: int = 1, sequence: bool = False, separator: str = "") -> pa.Array:
    """Values as what they become."""
    return lists(values, kind, separator) if sequence else column(values, kind, per_second)
