"""What runs the Ibis expressions of this package; everything else in it is Ibis, and so the same on any engine.

An engine reads delimited files as numbered rows of strings, keeps intermediate tables, and streams a result.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import ibis.expr.types as ir
import pyarrow as pa

EngineName = Literal["duckdb", "spark"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


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
    spark_scratch: str | None = None
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
    def read(
        self, path: Path, columns: Sequence[str], *, delimiter: str, quote: str, encoding: str, header: bool
    ) -> ir.Table:
        """The lines of a delimited file, lazily, as string columns in line order; an empty value is null.

        To be given to :meth:`save_numbered`, and to nothing else but expressions that keep the lines as they are.
        Numbers are not parsed here: engines' own parsers take 6.7, 0x10 or 1_000 for integers.
        """

    @abstractmethod
    def load(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ir.Table:
        """Keep record batches as a table, one at a time; what `batches` raises goes through."""

    @abstractmethod
    def save(self, table: ir.Table) -> ir.Table:
        """Compute a table once and keep it."""

    @abstractmethod
    def save_numbered(self, table: ir.Table) -> ir.Table:
        """Compute a table from :meth:`read` once and add `row`, its 0-based line among the data lines."""

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
    return importlib.import_module(f"{__name__}.{name}").ENGINE
