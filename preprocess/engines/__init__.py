"""What runs the Ibis expressions of this package; everything else in it is Ibis, and so the same on any engine.

An engine reads delimited files as numbered rows of strings, keeps intermediate tables, and streams a result.
"""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from prerank.errors import InputError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

EngineName = Literal["duckdb", "spark"]
Values = Callable[["ir.Table"], Mapping[str, "ir.Value"]]
"""Makes columns, by name, from a table."""


@dataclass(frozen=True)
class EngineOptions:
    """What an engine runs with.

    Attributes:
        spill: existing local folder for what does not fit into memory.
        spark_master: address of Spark's master.
        spark_scratch: folder or address that all of Spark's machines reach, for intermediate tables; None: `spill`.
        spark_conf: further settings of Spark.
    """

    spill: Path
    spark_master: str = "local[*]"
    spark_scratch: Path | None = None
    spark_conf: tuple[tuple[str, str], ...] = ()


class Engine(ABC):
    """Runs expressions. A context manager."""

    RESOURCE_ERRORS: ClassVar[tuple[type[Exception], ...]]
    """What a full disk or a full memory raises."""
    READ_ERRORS: ClassVar[tuple[type[Exception], ...]]
    """What a file that does not have the expected layout raises."""

    @abstractmethod
    def __init__(self, options: EngineOptions): ...

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""

    @abstractmethod
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
        """The lines of a delimited file, read once and kept.

        Numbers are not parsed: engines' own parsers take 6.7, 0x10 or 1_000 for integers.

        Args:
            path: the file; packed if its name ends in .gz.
            columns: what to call its columns, in its order.
            values: makes what is kept, by name, from a table with these columns as strings, null where empty.
            delimiter: between two values.
            quote: encloses values that hold the delimiter, or empty.
            encoding: "latin-1" or "utf-8".
            header: the first line is not data.

        Returns:
            A table of these values and :data:`preprocess.names.ROW`, the 0-based line among the data lines.
        """

    @abstractmethod
    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        """Keep record batches as a table, one at a time; what `batches` raises goes through."""

    @abstractmethod
    def save(self, table: ir.Table) -> ir.Table:
        """Compute a table once and keep it."""

    @abstractmethod
    def table(self, table: ir.Table) -> pa.Table:
        """A small table, in its order."""

    @abstractmethod
    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        """A table streamed in its order, about `rows` rows at a time."""

    def one(self, table: ir.Table) -> dict[str, Any]:
        """The first row of a table, as Python values; empty if there is none."""
        rows = self.table(table.limit(1)).to_pylist()
        return rows[0] if rows else {}

    def column(self, table: ir.Table, name: str) -> list[Any]:
        """The values of a column of a small table, in its order."""
        return self.table(table)[name].to_pylist()


def engine_class(name: EngineName) -> type[Engine]:
    """The class of an engine.

    Raises:
        InputError: what it needs is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            return importlib.import_module(f"{__name__}.{name}").ENGINE
    except ImportError as error:
        message = f"--engine {name} needs pip install -r requirements-{name}.txt ({error})"
        raise InputError(message) from error
