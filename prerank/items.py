"""A catalogue in Parquet as the arrays that the item tower takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prerank.columns import column, lists, to_numpy
from prerank.errors import InputError
from prerank.lookup import lookup_of
from prerank.parquet_folders import parquet_files, partitions
from prerank.regular import require_regular
from prerank.values import KINDS, MISSING, Kind, WrongValueError, short

_NUMPY: dict[Kind, type] = {"int": np.int64, "text": np.str_, "number": np.float32}


@dataclass(frozen=True)
class Rows:
    """The rows of a Parquet file, or of the files of a folder one after another, as they are spelt there.

    Attributes:
        files: each file and its rows. One file may spell a column as another type than the next.
        before: rows of the first file that come before these, for messages.
    """

    files: tuple[tuple[Path, pa.Table], ...]
    before: int = 0

    def __len__(self) -> int:
        return sum(len(table) for _, table in self.files)

    @property
    def column_names(self) -> list[str]:
        """The columns that every file has, in the order of the first."""
        first, *others = (table.column_names for _, table in self.files)
        return [name for name in first if all(name in names for names in others)]

    def head(self, count: int) -> Rows:
        """The first rows only."""
        found = []
        for path, table in self.files:
            found.append((path, table.slice(0, count)))
            count -= len(found[-1][1])
        return replace(self, files=tuple(found))

    def place(self, row: int) -> str:
        """Where a row lies, counted from 0, for messages."""
        which = 0
        while row >= len(self.files[which][1]):
            row -= len(self.files[which][1])
            which += 1
        return self._spelt(which, row)

    def _spelt(self, which: int, row: int) -> str:
        return f"{self.files[which][0]}, row {row + 1 + (0 if which else self.before)}"

    def column(self, name: str, read: Callable[[pa.ChunkedArray], pa.Array]) -> pa.Array:
        """A column by the contract of values, each file's by itself, as training reads it.

        Args:
            name: the column's.
            read: reads the values of a file.

        Raises:
            InputError: a file lacks the column or has it twice, or a value is wrong; names file and row.
        """
        found = []
        for which, (path, table) in enumerate(self.files):
            if name not in table.column_names:
                raise InputError(f"column {name!r} is missing", path=path)
            if table.column_names.count(name) > 1:
                raise InputError(f"a column's name occurs twice: {name!r}", path=path)
            try:
                found.append(read(table[name]))
            except WrongValueError as error:
                message = f"{name} has to be {error.expected}. Received: {short(error.value)} ({table[name].type})"
                raise InputError(message, path=self._spelt(which, error.place or 0)) from error
        return pa.concat_arrays(found)


def read_table(path: Path) -> Rows:
    """A Parquet file, or the files of a folder one after another, where a folder `name=value` is a column of texts.

    Nothing is cast here: that is left to the contract of values.

    Raises:
        InputError: it is missing, truncated or no Parquet.
    """
    require_regular(path, InputError)
    if not path.is_dir():
        return Rows(((path, read_file(path)),))
    files = sorted(parquet_files(path), key=str)
    return Rows(tuple((file, _with_texts(read_file(file), partitions(path, file))) for file in files))


def read_file(path: Path) -> pa.Table:
    """A Parquet file as it is.

    Raises:
        InputError: it is missing, truncated or no Parquet.
    """
    require_regular(path, InputError)
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as opened:  # a path's folders are no columns of a file
            return opened.read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read as Parquet: {error}", path=path) from error


def _with_texts(table: pa.Table, values: Mapping[str, str | None]) -> pa.Table:
    """A table with further columns, the same value in each row."""
    for name, value in values.items():
        column_of_texts = pa.array([value] * len(table), pa.string())
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, column_of_texts)
    return table


def columns(rows: Rows | pa.Table, fields: Sequence[Mapping[str, Any]], path: Path) -> list[np.ndarray]:
    """One array a field, (N,) or (N, L), in the fields' order, by the contract of values.

    Args:
        rows: rows with a column for each field.
        fields: inputs as `features.json` describes them.
        path: where a table is from, for messages.

    Raises:
        InputError: a column is missing, or a value of it is wrong; names column and row.
    """
    found = rows if isinstance(rows, Rows) else Rows(((path, rows),))
    return [_column(found, field) for field in fields]


def column_of(rows: Rows, field: Mapping[str, Any]) -> pa.Array:
    """A field's column by the contract of values; null where a value is missing.

    Raises:
        InputError: the column is missing, or a value of it is wrong; names column, file and row.
    """
    kind, separator = KINDS[field["dtype"]], field.get("separator", "")
    if field["kind"] != "sequence":
        return rows.column(field["name"], lambda values: column(values, kind))
    return rows.column(field["name"], lambda values: lists(values, kind, separator))


def _column(rows: Rows, field: Mapping[str, Any]) -> np.ndarray:
    kind, found = KINDS[field["dtype"]], column_of(rows, field)
    return _typed(found, kind) if field["kind"] != "sequence" else _padded(found, kind, field.get("limit", 0))


def _typed(found: pa.Array, kind: Kind) -> np.ndarray:
    return to_numpy(found, kind).astype(_NUMPY[kind])


def _padded(found: pa.ListArray, kind: Kind, limit: int) -> np.ndarray:
    """Rows of equal length, padded on the right; of a sequence with a limit its last values."""
    lengths = np.asarray(found.value_lengths().fill_null(0))
    values = _typed(found.flatten(), kind)
    if limit:
        kept = np.minimum(lengths, limit)
        ends = np.cumsum(lengths)
        values = values[np.repeat(ends - np.cumsum(kept), kept) + np.arange(kept.sum())]
        lengths = kept
    filled = np.arange(lengths.max(initial=0)) < lengths[:, np.newaxis]
    padded = np.full(filled.shape, MISSING[kind], values.dtype if values.size else _NUMPY[kind])
    padded[filled] = values
    return padded


def check_ids(ids: np.ndarray, missing: Any, name: str, rows: Rows, path: Path) -> None:
    """See that every item has an id of its own.

    Args:
        ids: of the rows.
        missing: what stands for a missing one.
        name: of their column.
        rows: where they are from.
        path: the file or folder.

    Raises:
        InputError: there is no item, an id is missing, or two items have the same.
    """
    if not len(ids):
        raise InputError("there are no items", path=path)
    if (ids == missing).any():
        raise InputError(f"{name} is missing", path=rows.place(int(np.argmax(ids == missing))))
    repeated = lookup_of(ids).positions(ids) != np.arange(len(ids))  # one of two with the same id is found for both
    if repeated.any():
        raise InputError(f"column {name!r}: two rows have the id {ids[repeated].tolist()[0]!r}", path=path)
