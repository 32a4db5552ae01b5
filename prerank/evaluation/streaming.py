"""Scores of a file's rows into another file, without either in memory as a whole."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from prerank.artefact import Artefact
from prerank.errors import InputError
from prerank.evaluation.rows import predict
from prerank.locks import beside
from prerank.parquet_folders import parquet_files
from prerank.regular import require_regular

_ROWS = 65_536
_PARTIAL = ".partial"


def predict_file(model: Artefact, rows: Path, out: Path, copied: Sequence[str] = ()) -> int:
    """Write the model's outputs for each row, whole or not at all, in the rows' order.

    Args:
        model: the exported model.
        rows: a Parquet file of raw features, or a folder of them.
        out: the file to write: columns `copied`, and one for each output of `serving_default`.
        copied: columns of the rows.

    Returns:
        How many rows there are.

    Raises:
        InputError: the rows cannot be read or lack a column, or the file cannot be written.
    """
    require_regular(rows, InputError)
    files = sorted(parquet_files(rows), key=str) if rows.is_dir() else [rows]
    working, writer, count = beside(out, _PARTIAL), None, 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            with _open(file) as opened:
                if lacking := [name for name in copied if name not in opened.schema_arrow.names]:
                    raise InputError(f"--columns: there is no column {lacking[0]!r}", path=file)
                before = 0
                for batch in opened.iter_batches(_ROWS):
                    scored = _scored(model, pa.table(batch), file, copied, before)
                    writer = writer or pq.ParquetWriter(working, scored.schema)
                    writer.write_table(_as_first(scored, writer.schema, file))
                    before += len(scored)
                count += before
        if writer is None:
            raise InputError("there are no rows", path=rows)
        writer.close()
        working.replace(out)
    except OSError as error:
        raise InputError(f"--out: cannot be written: {error.strerror or error}", path=out) from error
    finally:
        if writer is not None:
            writer.close()
        working.unlink(missing_ok=True)
    return count


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read as Parquet: {error}", path=path) from error


def _as_first(scored: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """The rows with the types that the first file's columns have."""
    if scored.schema.equals(schema):
        return scored
    try:
        return scored.cast(schema)
    except pa.ArrowException as error:
        raise InputError(f"--columns: of other types than in the first file: {error}", path=path) from error


def _scored(model: Artefact, table: pa.Table, path: Path, copied: Sequence[str], before: int) -> pa.Table:
    outputs = predict(model, table, path, before)
    if clash := [name for name in copied if name in outputs]:
        raise InputError(f"--columns: {clash[0]!r} is the name of an output", path=path)
    return pa.table({**{name: table[name] for name in copied}, **{name: pa.array(v) for name, v in outputs.items()}})
