"""A catalogue in Parquet as the arrays that the item tower takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prerank.errors import InputError
from prerank.lookup import lookup_of
from prerank.regular import require_regular

_ARROW = {"int64": pa.int64(), "string": pa.string(), "float32": pa.float32()}


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
    """One array a field, (N,) or (N, L), in the fields' order; null is missing.

    Args:
        table: rows with a column for each field, values as the raw files spell them.
        fields: inputs as `features.json` describes them.
        path: where the table is from, for messages.

    Raises:
        InputError: a column is missing or of another type, or a number is infinite.
    """
    return [_column(table, field, path) for field in fields]


def _column(table: pa.Table, field: Mapping[str, Any], path: Path) -> np.ndarray:
    name, kind = field["name"], _ARROW[field["dtype"]]
    if name not in table.column_names:
        raise InputError(f"column {name!r} is missing", path=path)
    column = table[name].combine_chunks()
    expected = pa.list_(kind) if field["kind"] == "sequence" else kind
    try:
        # integers may become floats and floats lose digits, but no number becomes text or the other way round
        if _is_text(column.type) != _is_text(expected):
            raise pa.ArrowInvalid(f"{column.type} where {expected} is needed")
        column = column.cast(expected, safe=field["dtype"] != "float32")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {name!r}: {error}", path=path) from error
    if field["dtype"] == "string":
        _refuse_nul(column, name, path)
    if field["kind"] == "sequence":
        return _padded(column, field["missing"])
    if field["dtype"] == "float32":
        return _numbers(column, name, path)
    return _filled(column, field["missing"])


def _numbers(column: pa.Array, name: str, path: Path) -> np.ndarray:
    numbers = column.to_numpy(zero_copy_only=False).astype(np.float32)
    if np.isinf(numbers).any():
        row = int(np.argmax(np.isinf(numbers)))
        raise InputError(f"column {name!r}: row {row} is infinite, or too large for 32 bits", path=path)
    return numbers


def _refuse_nul(column: pa.Array, name: str, path: Path) -> None:
    """NumPy cuts a NUL off a text's end, so that the text would be taken for another."""
    is_list = pa.types.is_list(column.type)
    found = pc.match_substring(column.flatten() if is_list else column, "\0").fill_null(False)
    if (place := pc.index(found, True).as_py()) >= 0:
        row = pc.list_parent_indices(column)[place].as_py() if is_list else place
        raise InputError(f"column {name!r}: row {row} has a NUL character", path=path)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    return pa.types.is_string(value) or pa.types.is_large_string(value)


def _filled(column: pa.Array, missing: Any) -> np.ndarray:
    values = column.fill_null(missing).to_numpy(zero_copy_only=False)
    return values.astype(np.str_) if values.dtype == object else values


def _padded(column: pa.Array, missing: Any) -> np.ndarray:
    lengths = np.asarray(column.value_lengths().fill_null(0))
    values = _filled(column.flatten(), missing)
    filled = np.arange(lengths.max(initial=0)) < lengths[:, np.newaxis]
    padded = np.full(filled.shape, missing, values.dtype if values.size else np.array(missing).dtype)
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
        raise InputError(f"column {name!r}: row {int(np.argmax(ids == missing))} has no id", path=path)
    repeated = lookup_of(ids).positions(ids) != np.arange(len(ids))  # one of two with the same id is found for both
    if repeated.any():
        raise InputError(f"column {name!r}: two rows have the id {ids[repeated].tolist()[0]!r}", path=path)
