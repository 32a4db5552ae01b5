"""DuckDB in this process, spilling to a folder what does not fit into memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.util import gen_name

from preprocess.addresses import is_address
from preprocess.engines import Engine, EngineOptions, Values
from preprocess.names import ROW

MEMORY_LIMIT = "3GB"
"""Most memory that DuckDB takes before it spills."""


class DuckDBEngine(Engine):
    """See :class:`Engine`."""

    RESOURCE_ERRORS = (OSError, duckdb.IOException, duckdb.OutOfMemoryException)
    READ_ERRORS = (duckdb.Error,)

    def __init__(self, options: EngineOptions):
        self._connection = ibis.duckdb.connect(
            temp_directory=str(options.spill),
            memory_limit=MEMORY_LIMIT,
            preserve_insertion_order=False,
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )
        with contextlib.suppress(duckdb.InvalidInputException):  # a notebook without ipywidgets has no bar to turn off
            self._connection.raw_sql("SET enable_progress_bar = false")

    def close(self) -> None:
        self._connection.disconnect()

    def read_numbered(
        self,
        path: Path,
        columns: Sequence[str],
        values: Values,
        *,
        delimiter: str,
        quote: str,
        encoding: str,
        header: bool,
    ) -> ir.Table:
        if is_address(path):
            self._know(path.fs)  # type: ignore[attr-defined]
        # not read_csv: Ibis wants an extension of DuckDB for some addresses, and fsspec reads them
        types = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in columns)
        name = gen_name("raw")
        self._connection.raw_sql(
            f'CREATE VIEW "{name}" AS FROM read_csv({_text(str(path))}, columns = {{{types}}}, auto_detect = false, '
            f"delim = {_text(delimiter)}, quote = {_text(quote)}, escape = {_text(quote)}, "
            f"encoding = {_text(encoding)}, header = {header}, "
            f"compression = {_text('gzip' if path.suffix == '.gz' else 'none')})"
        )
        text = self._connection.table(name)
        self._connection.raw_sql("SET preserve_insertion_order = true")
        saved = self.save(text.select(**values(text)))
        self._connection.raw_sql("SET preserve_insertion_order = false")
        return saved.mutate(**{ROW: saved.rowid()})

    def _know(self, files: Any) -> None:
        """Let DuckDB read addresses by a file system of fsspec."""
        names = [files.protocol] if isinstance(files.protocol, str) else files.protocol
        if not any(map(self._connection.con.filesystem_is_registered, names)):
            self._connection.con.register_filesystem(files)

    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        name, view = gen_name("loaded"), gen_name("batch")
        table = self._connection.create_table(name, schema=ibis.Schema.from_pyarrow(schema))
        # not insert(): Ibis 12.0 takes a statement apart that DuckDB 2.0 no longer takes
        connection = self._connection.con
        for batch in batches:
            connection.register(view, pa.Table.from_batches([batch]))
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM "{view}"')
            connection.unregister(view)
        return table

    def save(self, table: ir.Table) -> ir.Table:
        return self._connection.create_table(gen_name("kept"), table)

    def table(self, table: ir.Table) -> pa.Table:
        return table.to_pyarrow()

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        # not to_pyarrow_batches: Ibis 12.0 calls a method that DuckDB 2.0 no longer has
        return iter(self._connection.con.sql(self._connection.compile(table)).to_arrow_reader(rows))


def _text(value: str) -> str:
    """A text as SQL spells it."""
    return "'" + value.replace("'", "''") + "'"


ENGINE = DuckDBEngine
