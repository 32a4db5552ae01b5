"""Reads a Parquet file as a typed table, row group by row group, and names the column and row that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from preprocess.engines import Engine
from preprocess.raw import RawFile, RawTable
from prerank.errors import InputError

Kind = Literal["text", "int", "number", "seconds", "texts", "ints"]
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "number": pa.float64(),
    "seconds": pa.int64(),
    "texts": pa.list_(pa.string()),
    "ints": pa.list_(pa.int64()),
}
_EXPECTED: dict[Kind, str] = {
    "text": "text",
    "int": "integers of 64 bits",
    "number": "finite numbers",
    "seconds": "integers or timestamps",
    "texts": "lists of text",
    "ints": "lists of integers",
}
_ROWS = 1 << 17


@dataclass(frozen=True)
class Source:
    """A column to read.

    Attributes:
        name: what it is called in the table.
        column: its name in the file.
        kind: what it becomes; "seconds" are integers or timestamps, which become seconds since 1970.
        required: null is an error.
        per_second: units of an integer time in a second.
    """

    name: str
    column: str
    kind: Kind
    required: bool = False
    per_second: int = 1


def read_parquet(engine: Engine, file: RawFile, sources: Sequence[Source]) -> RawTable:
    """Read some columns of a Parquet file; NaN is null.

    Raises:
        InputError: the file is damaged or lacks a column, or a value is null or of the wrong type; names the column.
    """
    schema = pa.schema([("row", pa.int64()), *((source.name, _TYPES[source.kind]) for source in sources)])
    try:
        with file.path.open("rb") as stream, pq.ParquetFile(stream) as opened:
            names = opened.schema_arrow.names
            if missing := [source.column for source in sources if source.column not in names]:
                raise InputError(f"no column {', '.join(missing)}. Received: {', '.join(names)}", path=file.path)
            return RawTable(file, engine.load(schema, _batches(opened, file, sources, schema)))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"damaged, or no Parquet file ({str(error).splitlines()[0]})", path=file.path) from error


def _batches(
    opened: pq.ParquetFile, file: RawFile, sources: Sequence[Source], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in opened.iter_batches(_ROWS, columns=sorted({source.column for source in sources})):
        rows = pa.array(range(first, first + len(batch)), pa.int64())
        columns = [_converted(batch[source.column], source, file, first) for source in sources]
        yield pa.RecordBatch.from_arrays([rows, *columns], schema=schema)
        first += len(batch)


def _converted(values: pa.Array, source: Source, file: RawFile, first: int) -> pa.Array:
    try:
        found = _cast(values, source.kind, source.per_second)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        row = _first_bad(values, source.kind)
        received = f"row {first + row + 1} {values[row].as_py()!r}" if values.type != pa.null() else str(error)
        message = f"{source.column} has to hold {_EXPECTED[source.kind]}. Received: {received} ({values.type})"
        raise InputError(message, path=file.path) from error
    if source.required and found.null_count:
        row = pc.index(pc.is_null(found), True).as_py()
        raise InputError(f"{source.column} is missing in row {first + row + 1}", path=file.path)
    return found


def _cast(values: pa.Array, kind: Kind, per_second: int = 1) -> pa.Array:
    """Values as what they become; raises an Arrow exception if one cannot."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        if pc.any(pc.is_inf(values)).as_py():
            raise pa.ArrowInvalid("an infinite number")
    if kind == "seconds" and pa.types.is_temporal(values.type):
        if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
            raise pa.ArrowInvalid("no point in time")
        return (
            pc.floor_temporal(values.cast(pa.timestamp("us")), unit="second").cast(pa.timestamp("s")).cast(pa.int64())
        )
    if kind == "text" and (pa.types.is_floating(values.type) or pa.types.is_temporal(values.type)):
        raise pa.ArrowInvalid("no text")
    if kind in ("texts", "ints") and values.type.num_fields != 1:
        raise pa.ArrowInvalid("no list")
    found = values.cast(_TYPES[kind])
    return found if per_second == 1 else _floor_divided(found, per_second)


def _floor_divided(values: pa.Array, divisor: int) -> pa.Array:
    towards_zero = pc.divide(values, divisor)
    too_large = pc.less(values, pc.multiply(towards_zero, divisor))
    return pc.subtract(towards_zero, too_large.cast(pa.int64()))


def _first_bad(values: pa.Array, kind: Kind) -> int:
    """Place of the first value that cannot be cast alone, by halving."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast(values[low:middle], kind)
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            high = middle
    return low
