"""Spark: as many machines as its master has.

Tables go to Parquet files in a scratch folder that all of Spark's machines reach, and come back from there; nothing
passes through pandas, and no Python runs on Spark's machines.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import ibis
import ibis.backends.pyspark
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.pyspark.datatypes import PySparkSchema
from ibis.util import gen_name
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from preprocess.addresses import is_address, opened
from preprocess.engines import Engine, EngineOptions, Values
from preprocess.engines.spark_session import reason, said, session
from preprocess.engines.spark_sql import Compiler
from preprocess.names import ROW, only

_SQL = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.csv.parser.columnPruning.enabled": "false",  # or else lines of too few or many columns go unnoticed
}
_ENCODINGS = {"latin-1": "ISO-8859-1", "utf-8": "UTF-8"}
_STRANGE = {"latin-1": "[\x00\x80-\x9f]", "utf-8": "[\x00\ufffd]"}
"""What only a damaged file holds, and what Spark puts where it cannot decode."""
_BLOCK, _PLACE, _DAMAGED = "_block_start", "_place", "_damaged"
_CHUNK = 1 << 20


class UnreadableError(ValueError):
    """A file that Spark has read, but not all as it is spelt."""


class SparkEngine(Engine):
    """Spark, by a session of its own or one that is already active, which then stays.

    Args:
        options: where it runs, what lies where, and Spark's own settings, which come before the defaults here.

    Raises:
        InputError: there is no Java, or Spark does not start.
    """

    RESOURCE_ERRORS = (OSError,)
    READ_ERRORS = (PySparkException, Py4JJavaError, UnreadableError)

    def __init__(self, options: EngineOptions):
        self._folder = (options.spark_scratch or options.spill) / _scratch_name(options.spill)
        _remove(self._folder)  # what a killed process left
        self._folder.mkdir(parents=True)
        local = options.spill / f"{self._folder.name}-local"
        local.mkdir()
        conf = dict(options.spark_conf)
        try:
            self._session, self._end = session(local, options.spark_master, conf)
        except BaseException:
            _remove(self._folder)
            raise
        for key, value in (_SQL | conf).items():
            if self._session.conf.isModifiable(key):
                self._session.conf.set(key, value)
        self._local = local
        self._connection = ibis.pyspark.connect(self._session)
        self._connection.compiler = Compiler()

    def close(self) -> None:
        self._end()
        _remove(self._folder)
        _remove(self._local)

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
        """As :meth:`preprocess.engines.Engine.read_numbered`.

        Spark reads a file by blocks, so a line's number is the lines of all blocks before, and its place in its own.

        Raises:
            UnreadableError: the file holds bytes that are no text of this encoding.
        """
        lines = self._lines(path, columns, delimiter, quote, encoding, header)
        lines.createOrReplaceTempView(view := gen_name("raw"))
        text = self._connection.table(view)
        kept = text.select(**values(text), **{name: text[name] for name in (_BLOCK, _PLACE, _DAMAGED)})
        try:
            saved = self.save(kept)
        except (PySparkException, Py4JJavaError) as error:
            wrong = f"a line has another number of columns than {len(columns)}, or is not well quoted"
            raise UnreadableError(wrong if "MALFORMED" in said(error) else reason(error)) from error
        blocks = saved.group_by(_BLOCK).agg(
            lines=saved.count(), first=saved[_PLACE].min(), damaged=saved[_DAMAGED].any()
        )
        found = self.table(blocks.order_by(_BLOCK)).to_pylist()
        if any(block["damaged"] for block in found):
            _check_text(path, encoding)
        if quote:
            self._check_quotes(path, delimiter, quote)
        offsets, before = [], 0
        for block in found:
            offsets.append((block[_BLOCK], before - block["first"]))
            before += block["lines"]
        names = [name for name in saved.columns if name not in (_BLOCK, _PLACE, _DAMAGED)]
        if len(offsets) < 2:
            return only(saved, *names, **{ROW: saved[_PLACE] + (offsets[0][1] if offsets else 0)})
        schema = pa.schema([("block_start", pa.int64()), ("offset", pa.int64())])
        arrays = [pa.array(column, pa.int64()) for column in zip(*offsets, strict=True)]
        starts = self.load(schema, [pa.RecordBatch.from_arrays(arrays, schema=schema)])
        joined = saved.join(starts, saved[_BLOCK] == starts.block_start)
        return only(joined, *names, **{ROW: joined[_PLACE] + joined.offset})

    def _lines(
        self, path: Path, columns: Sequence[str], delimiter: str, quote: str, encoding: str, header: bool
    ) -> DataFrame:
        reader = self._session.read.schema(StructType([StructField(name, StringType()) for name in columns]))
        reader = reader.options(
            sep=delimiter,
            quote=quote,
            escape=quote,
            header=header,
            encoding=_ENCODINGS[encoding],
            mode="FAILFAST",
            unescapedQuoteHandling="RAISE_ERROR",
        )
        lines = reader.csv(_address(path))
        given = [F.col(_quoted(name)) for name in columns]
        damaged = F.lit(False)
        for column in given:
            damaged = damaged | F.coalesce(column.rlike(_STRANGE[encoding]), F.lit(False))
        return lines.select(
            *(F.nullif(column, F.lit("")).alias(name) for column, name in zip(given, columns, strict=True)),
            F.col("_metadata.file_block_start").alias(_BLOCK),
            F.monotonically_increasing_id().alias(_PLACE),
            damaged.alias(_DAMAGED),
        )

    def _check_quotes(self, path: Path, delimiter: str, quote: str) -> None:
        """Spark takes a quote that nothing closes, and one after a blank, for something else than other readers do."""
        pattern = _well_quoted(delimiter, quote)
        lines = self._session.read.text(_address(path))
        if lines.filter(~F.col("value").rlike(pattern)).isEmpty():
            return
        with opened(path) as file:
            for number, line in enumerate(file, 1):
                if not re.search(pattern, line.decode("utf-8", "replace").rstrip("\r\n")):
                    raise UnreadableError(f"line {number} is not well quoted")

    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        folder = self._new_folder()
        folder.mkdir()
        with (folder / "part-0.parquet").open("wb") as file, pq.ParquetWriter(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return self._kept(folder, ibis.Schema.from_pyarrow(schema))

    def save(self, table: ir.Table) -> ir.Table:
        return self._kept(self._written(table), table.schema())

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        folder = self._written(table)
        yield from self._stored(folder, table.schema().to_pyarrow(), rows)
        _remove(folder)

    def table(self, table: ir.Table) -> pa.Table:
        folder, schema = self._written(table), table.schema().to_pyarrow()
        found = pa.Table.from_batches(self._stored(folder, schema, _CHUNK), schema)
        _remove(folder)
        return found

    def one(self, table: ir.Table) -> dict[str, Any]:
        with _translated():
            rows = self._frame(table.limit(1)).toArrow().to_pylist()
        return rows[0] if rows else {}

    def _new_folder(self) -> Path:
        return self._folder / gen_name("table")

    def _written(self, table: ir.Table) -> Path:
        """A folder with the table's rows; the names of its files are in the table's order."""
        folder = self._new_folder()
        with _translated():
            self._frame(table).write.parquet(_address(folder))
        return folder

    def _frame(self, table: ir.Table) -> DataFrame:
        return self._session.sql(self._connection.compile(table))

    def _kept(self, folder: Path, schema: ibis.Schema) -> ir.Table:
        name = gen_name("kept")
        # with a schema, or else Spark runs a job to find it
        frame = self._session.read.schema(PySparkSchema.from_ibis(schema)).parquet(_address(folder))
        frame.createOrReplaceTempView(name)
        return self._connection.table(name)

    def _stored(self, folder: Path, schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
        for path in sorted(folder.glob("part-*"), key=lambda path: path.name):
            with path.open("rb") as file:
                for batch in pq.ParquetFile(file).iter_batches(rows):
                    yield batch.cast(schema)


@contextmanager
def _translated() -> Iterator[None]:
    """A full disk or memory as OSError, whatever Spark wraps it in."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if found := re.search(r"No space left on device|OutOfMemoryError.*|Disk quota exceeded", said(error)):
            raise OSError(f"Spark: {found[0]}") from error
        raise


def _check_text(path: Path, encoding: str) -> None:
    """Raise an error if a file is not all of an encoding, or holds what its engine would take for a quote."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                strange = re.search("[\x00\x80-\x9f]" if encoding == "latin-1" else "\x00", line.decode(encoding))
            except UnicodeDecodeError as error:
                raise UnreadableError(f"line {number} is not {encoding} ({error.reason})") from error
            if strange:
                raise UnreadableError(f"line {number} is not plain text: holds the byte {ord(strange[0]):#04x}")


def _well_quoted(delimiter: str, quote: str) -> str:
    """A pattern of lines whose quotes enclose whole values."""
    mark, end = re.escape(quote), re.escape(delimiter)
    quoted, plain = f"{mark}(?:[^{mark}]|{mark}{mark})*+{mark} *+", f"(?! *{mark})[^{end}]*+"
    return f"^(?:{quoted}|{plain})(?:{end}(?:{quoted}|{plain}))*+$"


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _address(path: Path) -> str:
    """A path as Spark takes it, in which nothing stands for a pattern."""
    text = str(path) if is_address(path) else f"file://{path.absolute()}"
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", text)


def _scratch_name(spill: Path) -> str:
    """A name that no other process has at the same time, and that the next start has again."""
    place = f"{platform.node()}:{spill.absolute()}"
    return f"spark-{hashlib.sha256(place.encode()).hexdigest()[:32]}"


def _remove(folder: Path) -> None:
    if is_address(folder):
        if folder.exists():
            cast(Any, folder).rmdir(recursive=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


ENGINE = SparkEngine
