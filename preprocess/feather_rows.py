"""Reads Feather files (version 2) as a typed table, a batch at a time, and names the column and row that is wrong."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from preprocess.engines import Engine
from preprocess.names import ROW
from preprocess.parquet_rows import Source, converted
from preprocess.raw import Place, RawFile, RawTable
from prerank.errors import InputError
from prerank.hints import did_you_mean
from prerank.reading import open_regular


def read_feather(engine: Engine, files: Sequence[RawFile], sources: Sequence[Source]) -> RawTable:
    """Read some columns of Feather files, one file after another, by the contract of values.

    Args:
        engine: keeps the table.
        files: at least one.
        sources: the columns.

    Raises:
        InputError: a file is damaged or lacks a column, or a value is missing or wrong; names the column and the row.
    """
    schema = pa.schema([(ROW, pa.int64()), *((source.name, source.type) for source in sources)])
    starts: list[int] = []
    table = engine.load(schema, _rows([file.path for file in files], starts, sources, schema))

    def place(row: int) -> Place:
        which = bisect.bisect_right(starts, row) - 1
        return Place(files[which].path, "row", row - starts[which] + 1)

    return RawTable(files[0], table, place)


def _rows(
    paths: Sequence[Path], starts: list[int], sources: Sequence[Source], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of all files; where each file starts goes to `starts`."""
    first = 0
    for path in paths:
        starts.append(first)
        for batch in _of_file(path, sorted({source.column for source in sources})):
            rows = pa.array(range(first, first + len(batch)), pa.int64())
            columns = [converted(batch[source.column], source, path, first - starts[-1]) for source in sources]
            yield pa.RecordBatch.from_arrays([rows, *columns], schema=schema)
            first += len(batch)


def _of_file(path: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        with open_regular(path) as stream, pa.ipc.open_file(stream) as opened:
            names = opened.schema.names
        if missing := [name for name in wanted if name not in names]:
            hint = did_you_mean(missing[0], names) or "."
            raise InputError(f"no column {', '.join(missing)}{hint} Received: {', '.join(names)}", path=path)
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise InputError(f"a column's name occurs twice: {twice[0]}", path=path)
        options = pa.ipc.IpcReadOptions(included_fields=sorted(names.index(name) for name in wanted))
        with open_regular(path) as stream, pa.ipc.open_file(stream, options=options) as opened:
            for number in range(opened.num_record_batches):
                batch = opened.get_batch(number)
                batch.validate(full=True)
                yield batch
    except (pa.ArrowException, OSError) as error:
        text = next(iter(str(error).splitlines()), type(error).__name__)  # some errors have no text
        raise InputError(f"damaged, or no Feather file ({text})", path=path) from error
