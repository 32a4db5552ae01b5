"""The one place that knows which engine runs the Ibis expressions.

Everything else in this package is Ibis and so the same on any engine. An engine reads delimited
files as numbered rows of strings, keeps intermediate tables, and streams a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.util import gen_name

MEMORY_LIMIT = "3GB"


class DuckDBEngine:
    """DuckDB in memory, spilling to a folder. Use as a context manager.

    Args:
        spill_dir: existing folder for what does not fit into memory.
        memory_limit: most memory DuckDB takes before it spills.
    """

    RESOURCE_ERRORS = (OSError, duckdb.IOException, duckdb.OutOfMemoryException)
    """What a full disk or a full memory raises."""
    READ_ERRORS = (duckdb.Error,)
    """What a file that does not have the expected layout raises."""

    def __init__(self, spill_dir: Path, memory_limit: str = MEMORY_LIMIT):
        self._connection = ibis.duckdb.connect(
            temp_directory=str(spill_dir),
            memory_limit=memory_limit,
            preserve_insertion_order=True,
            autoinstall_known_extensions=False,
        )
        self._connection.raw_sql("SET enable_progress_bar = false")

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.disconnect()

    def read(
        self, path: Path, columns: Sequence[str], *, delimiter: str, quote: str, encoding: str, header: bool
    ) -> ir.Table:
        """The lines of a delimited file, lazily, as string columns in line order; an empty value is null.

        Numbers are not parsed here: DuckDB's own parser takes 6.7, 0x10 and 1_000 for integers.
        """
        return self._connection.read_csv(
            str(path),
            table_name=gen_name("raw"),
            columns=dict.fromkeys(columns, "VARCHAR"),
            auto_detect=False,
            delim=delimiter,
            quote=quote,
            escape=quote,
            encoding=encoding,
            header=header,
            compression="gzip" if path.suffix == ".gz" else "none",
        )

    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        """Keep record batches as a table, in their order, one at a time; what `batches` raises goes through."""
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
        """Compute a table once and keep it."""
        return self._connection.create_table(gen_name("kept"), table)

    def save_numbered(self, table: ir.Table) -> ir.Table:
        """Compute a table from :meth:`read` once and add `row`, its 0-based line among the data lines."""
        saved = self.save(table)
        return saved.mutate(row=saved.rowid())

    def one(self, table: ir.Table) -> dict[str, Any]:
        """The first row of a table, as Python values."""
        rows = table.limit(1).to_pyarrow().to_pylist()
        return rows[0] if rows else {}

    def column(self, table: ir.Table, name: str) -> list[Any]:
        """The values of a column of a small table, in its order."""
        return table.to_pyarrow()[name].to_pylist()

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        """A table streamed in its order, `rows` rows at a time (the last batch may be smaller)."""
        # not to_pyarrow_batches: Ibis 12.0 calls a method that DuckDB 2.0 no longer has
        return iter(self._connection.con.sql(self._connection.compile(table)).to_arrow_reader(rows))
