"""A catalogue in Parquet as the arrays that the item tower takes."""

from collections.abc import Mapping, Sequence
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


def read_table(path: Path) -> pa.Table:
    """A Parquet file, or the files of a folder one after another, where a folder `name=value` is a column of texts.

    The files of a folder have the same columns of the same types, but for columns without a value. Nothing is cast
    here: that is left to the contract of values.

    Raises:
        InputError: it is missing, truncated or no Parquet, or the files of a folder differ in their columns.
    """
    require_regular(path, InputError)
    if not path.is_dir():
        return _of_file(path)
    files = sorted(parquet_files(path), key=str)
    tables = [_with_texts(_of_file(file), partitions(path, file)) for file in files]
    for file, table in zip(files, tables, strict=True):
        _check_alike(tables[0], table, files[0].name, file)
    for file, table in zip(files, tables, strict=True):
        for name in table.column_names:
            _check_types([found.schema.field(name).type for found in tables], table.schema.field(name).type, name, file)
    return pa.concat_tables(tables, promote_options="default")


def _check_alike(first: pa.Table, table: pa.Table, name_of_first: str, path: Path) -> None:
    if lacking := sorted(set(first.column_names) ^ set(table.column_names)):
        raise InputError(f"expected the columns of {name_of_first}. Only one has {lacking[0]!r}", path=path)
    for name in table.column_names:
        _check_once(table, name, path)


def _check_types(types: list[pa.DataType], found: pa.DataType, name: str, path: Path) -> None:
    expected = next((kind for kind in types if not pa.types.is_null(kind)), found)
    if not pa.types.is_null(found) and found != expected:
        message = f"column {name!r}: expected {expected}, as in other files of the folder. Received: {found}"
        raise InputError(message, path=path)


def _check_once(table: pa.Table, name: str, path: Path) -> None:
    if table.column_names.count(name) > 1:
        raise InputError(f"a column's name occurs twice: {name!r}", path=path)


def _of_file(path: Path) -> pa.Table:
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


def columns(table: pa.Table, fields: Sequence[Mapping[str, Any]], path: Path) -> list[np.ndarray]:
    """One array a field, (N,) or (N, L), in the fields' order, by the contract of values.

    Args:
        table: rows with a column for each field.
        fields: inputs as `features.json` describes them.
        path: where the table is from, for messages.

    Raises:
        InputError: a column is missing, or a value of it is wrong; names column and row.
    """
    return [_column(table, field, path) for field in fields]


def _column(table: pa.Table, field: Mapping[str, Any], path: Path) -> np.ndarray:
    name, kind = field["name"], KINDS[field["dtype"]]
    if name not in table.column_names:
        raise InputError(f"column {name!r} is missing", path=path)
    _check_once(table, name, path)
    try:
        if field["kind"] == "sequence":
            return _padded(lists(table[name], kind), kind, field.get("limit", 0))
        return _typed(column(table[name], kind), kind)
    except WrongValueError as error:
        message = f"{name} has to be {error.expected}. Received: {short(error.value)} ({table[name].type})"
        raise InputError(message, path=f"{path}, row {(error.place or 0) + 1}") from error


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


def check_ids(ids: np.ndarray, missing: Any, name: str, path: Path) -> None:
    """See that every item has an id of its own.

    Raises:
        InputError: there is no item, an id is missing, or two items have the same.
    """
    if not len(ids):
        raise InputError("there are no items", path=path)
    if (ids == missing).any():
        raise InputError(f"{name} is missing", path=f"{path}, row {int(np.argmax(ids == missing)) + 1}")
    repeated = lookup_of(ids).positions(ids) != np.arange(len(ids))  # one of two with the same id is found for both
    if repeated.any():
        raise InputError(f"column {name!r}: two rows have the id {ids[repeated].tolist()[0]!r}", path=path)
