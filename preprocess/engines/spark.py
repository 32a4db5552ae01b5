"""Spark, on this machine or on a cluster. Everything that is kept lies as Parquet in its scratch folder.

What goes between Spark and this process goes by Parquet files too: pyspark's own ways go by pandas, of a version before
that of this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.util import gen_name

from preprocess.addresses import is_address
from preprocess.engines import Engine, EngineOptions
from preprocess.engines.spark_session import (
    JAVA_ERRORS,
    DataFrame,
    PySparkCompiler,
    PySparkSchema,
    active,
    functions,
    started,
    stopped,
)

_ENCODINGS = {"utf-8": "UTF-8", "latin-1": "ISO-8859-1"}
_LINE, _BLOCK, _PARTITION = "__line", "__block", "__partition"
_PARTITION_BITS = 33
"""`monotonically_increasing_id` holds the partition above so many bits, and the place in it below."""


class SparkEngine(Engine):
    """See :class:`Engine`. Takes the session that this process has already, if there is one.

    Raises:
        InputError: there is no Java, or Spark does not start.
    """

    RESOURCE_ERRORS = (OSError,)
    READ_ERRORS = JAVA_ERRORS

    def __init__(self, options: EngineOptions):
        found = active()
        self._to_remove = None if found else options.spill
        self._session = found or started(options)
        self._connection = ibis.pyspark.connect(self._session)
        self._connection.compiler = _Compiler()
        shared = options.spark_scratch or _address(options.spill)
        self._scratch = f"{shared.rstrip('/')}/{gen_name('spark')}"
        self._files, self._root = fsspec.core.url_to_fs(self._scratch)
        self._files.makedirs(self._root, exist_ok=True)

    def close(self) -> None:
        self._files.rm(self._root, recursive=True)
        if self._to_remove is not None:
            stopped(self._session, self._to_remove)

    def read(
        self, path: Path, columns: Sequence[str], *, delimiter: str, quote: str, encoding: str, header: bool
    ) -> ir.Table:
        reader = self._session.read.schema(", ".join(f"`{name}` string" for name in columns))
        lines = reader.format("csv").load(
            _address(path),
            sep=delimiter,
            quote=quote,
            escape=quote or "\\",
            encoding=_ENCODINGS[encoding],
            header=header,
            nullValue="",
            emptyValue="",
            # a line with too many or too few values is an error, whatever columns are asked for
            mode="FAILFAST",
            columnPruning=False,
            unescapedQuoteHandling="RAISE_ERROR",
        )
        # a quoted empty value is as empty as any
        empty = {name: functions.nullif(functions.col(f"`{name}`"), functions.lit("")) for name in columns}
        return self._view(lines.withColumns(empty))

    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        name = gen_name("loaded")
        self._files.mkdir(f"{self._root}/{name}")
        with (
            self._files.open(f"{self._root}/{name}/part-00000.parquet", "wb") as file,
            pq.ParquetWriter(file, schema) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
        return self._kept(name, ibis.Schema.from_pyarrow(schema))

    def save(self, table: ir.Table) -> ir.Table:
        return self._kept(self._written(self._frame(table)), table.schema())

    def save_numbered(self, table: ir.Table) -> ir.Table:
        # Lines are in order within a partition, and a partition's blocks of the file in order too.
        numbered = self._frame(table).withColumns(
            {_LINE: functions.monotonically_increasing_id(), _BLOCK: functions.expr("input_file_block_start()")}
        )
        schema = ibis.schema(dict(table.schema().items()) | {_LINE: "int64", _BLOCK: "int64"})
        saved = self._kept(self._written(numbered), schema)
        saved = saved.mutate(**{_PARTITION: saved[_LINE] >> _PARTITION_BITS})
        sizes = saved.group_by(_PARTITION).agg(lines=saved.count(), block=saved[_BLOCK].min())
        before = sizes.lines.sum().over(ibis.window(order_by=sizes.block, preceding=(None, 1)))
        starts = self.save(sizes.select(start_partition=_PARTITION, start=before.fill_null(0).cast("int64")))
        joined = saved.join(starts, saved[_PARTITION] == starts.start_partition)
        place = joined[_LINE] - (joined[_PARTITION] << _PARTITION_BITS)
        return joined.select(*table.columns, row=joined.start + place)

    def table(self, table: ir.Table) -> pa.Table:
        schema = table.schema().to_pyarrow()
        found = [pa.Table.from_batches([batch], schema) for batch in self.batches(table, 1 << 16)]
        return pa.concat_tables(found) if found else schema.empty_table()

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        schema = table.schema().to_pyarrow()
        name = self._written(self._frame(table))
        # an ordered table is parted by ranges, and its files are numbered by them
        for path in sorted(self._files.glob(f"{self._root}/{name}/*.parquet")):
            with self._files.open(path, "rb") as file:
                for batch in pq.ParquetFile(file).iter_batches(rows):
                    yield from pa.Table.from_batches([batch]).cast(schema).to_batches()
        self._files.rm(f"{self._root}/{name}", recursive=True)

    def one(self, table: ir.Table) -> dict[str, Any]:
        rows = self._frame(table.limit(1)).collect()
        return rows[0].asDict() if rows else {}

    def _frame(self, table: ir.Table) -> DataFrame:
        """A table as Spark's, with the types that Ibis says it has."""
        self._connection._run_pre_execute_hooks(table)
        frame = self._session.sql(self._connection.compile(table))
        types = {field.name: field.dataType for field in PySparkSchema.from_ibis(table.schema()).fields}
        return frame.select(*(functions.col(f"`{name}`").cast(kind).alias(name) for name, kind in types.items()))

    def _written(self, frame: DataFrame) -> str:
        name = gen_name("kept")
        try:
            frame.write.parquet(f"{self._scratch}/{name}")
        except self.READ_ERRORS as error:
            if "No space left on device" in str(error):
                raise OSError("No space left on device") from error
            raise
        return name

    def _kept(self, name: str, schema: ibis.Schema) -> ir.Table:
        frame = self._session.read.schema(PySparkSchema.from_ibis(schema)).parquet(f"{self._scratch}/{name}")
        return self._view(frame)

    def _view(self, frame: DataFrame) -> ir.Table:
        name = gen_name("view")
        frame.createTempView(name)
        return self._connection.table(name)


class _Compiler(PySparkCompiler):
    """Ibis's, but that a text is split at a text, and not at a pattern."""

    def visit_StringSplit(self, op, *, arg, delimiter):  # noqa: N802, D102
        return self.f.split(arg, self.f.concat("\\Q", delimiter, "\\E"))


def _address(path: Path) -> str:
    """A path as Spark takes it: a local one as an address too, as its default may be another file system.

    Not as :meth:`pathlib.Path.as_uri` spells it: Spark takes %20 for itself.
    """
    return str(path) if is_address(path) else f"file://{path.absolute()}"


ENGINE = SparkEngine
