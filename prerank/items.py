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
from prerank.regular import require_regular
from prerank.values import KINDS, MISSING, Kind, WrongValueError, short

_NUMPY: dict[Kind, type] = {"int": np.int64, "text": np.str_, "number": np.float32}


def read_table(path: Path) -> pa.Table:
    """A Parquet file.

    Raises:
        InputError: it is missing, truncated or no Parquet.
    """
    require_regular(path, InputError)
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot be read as Parquet: {error}", path=path) from error


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
