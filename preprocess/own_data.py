"""Data of one's own: Parquet or csv files, whose columns a schema explains (docs/own-data.md)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field as Option

from features import Side
from preprocess import schema as schemas
from preprocess.dataset import Adapter, RawData, check_coverage
from preprocess.engines import Engine
from preprocess.options import DataOptions, ResolvedOptions
from preprocess.parquet_rows import Kind, Source, read_parquet
from preprocess.raw import Column, Layout, RawFile, RawTable, read
from preprocess.schema import LabelSchema, Schema
from prerank.errors import InputError

_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
_CSV_KINDS: dict[Kind, Literal["int", "number", "text"]] = {
    "text": "text",
    "int": "int",
    "number": "number",
    "seconds": "int",
}
_LABEL, _TIME = "label", "timestamp"


with warnings.catch_warnings():
    # pydantic's models have a deprecated method of that name
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class OwnDataOptions(DataOptions):
        """Options of data of one's own."""

        schema: Path | None = Option(  # type: ignore[assignment]
            None, description="YAML file that explains the data's columns, see docs/own-data.md"
        )

        def adapter(self, default: Adapter) -> Adapter:
            return OwnData.load(self.schema) if self.schema else default


class NoSchema:
    """Stands for the adapter as long as the user has named no schema."""

    name = "your own data"

    def find(self, data_path: Path) -> dict[str, Path]:
        """Say what is missing.

        Raises:
            InputError: always.
        """
        raise InputError("--schema is needed: a YAML file that explains the data's columns, see docs/own-data.md")

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Say what is missing.

        Raises:
            InputError: always.
        """
        raise InputError("--schema is needed")


@dataclass(frozen=True)
class OwnData:
    """The adapter of the data that a schema explains (see :class:`preprocess.dataset.Adapter`).

    Attributes:
        schema: explains them.
        path: the schema's file, which counts among the raw files.
    """

    schema: Schema
    path: Path

    @classmethod
    def load(cls, path: Path) -> OwnData:
        """The adapter for a schema's file.

        Raises:
            InputError: the file cannot be read or is wrong.
        """
        return cls(schemas.load(path), path)

    @property
    def name(self) -> str:
        return self.schema.dataset

    def find(self, data_path: Path) -> dict[str, Path]:
        """The schema and the raw files by role.

        Raises:
            InputError: a file is not there, or is neither Parquet nor csv.
        """
        named = self.schema.files.model_dump() if self.schema.files else {}
        found = {role: data_path / name for role, name in named.items() if name} or {"rows": data_path}
        for role, path in found.items():
            if not path.is_file():
                what = f"files.{role} in {self.path} names it" if named else "--data_path names one file"
                raise InputError(f"no such file: {what}", path=path)
            if not path.name.endswith(_SUFFIXES):
                raise InputError(f"a file of data ends in {', '.join(_SUFFIXES)}", path=path)
        return {"schema": self.path, **found}

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line or row is wrong; or there are no labels, and no negatives are asked for.
        """
        schema, spec = self.schema, self.schema.spec()
        if schema.label is None and not options.negatives:
            raise InputError(
                "there is no label, so every row is a positive: --negatives N samples N other items for each",
                path=self.path,
            )
        sides: dict[str, Side] = {"users": "user", "items": "item"}
        keys = {"users": schema.user_id, "items": schema.item_id}
        described = {role: [field.name for field in spec.table_fields(side)] for role, side in sides.items()}
        of_rows = [*keys.values(), *schema.context]
        joined = [name for role, names in described.items() if role not in files for name in names]
        rows = self._read(engine, files["rows"], dict.fromkeys([*of_rows, *joined]), self._label_and_time())
        tables = {}
        for role, key in keys.items():
            others = [name for name in described[role] if name != key]
            if role in files:
                table = self._read(engine, files[role], [key, *others], [])
                table.check_unique(engine, key)
                check_coverage(engine, rows, key, table, key)
                tables[role] = engine.save(table.table.select(key, *others))
            else:
                tables[role] = rows.one_each(engine, key, others)
        labelled = _labelled(engine, rows, schema.label)
        return RawData(
            rows=engine.save(labelled.select("row", _TIME, _LABEL, *of_rows)),
            users=tables["users"],
            items=tables["items"],
            spec=spec,
            utc_offset=schema.utc_offset,
            timed=schema.time is not None,
        )

    def _label_and_time(self) -> list[Source]:
        label, time = self.schema.label, self.schema.time
        found = [Source(_LABEL, label.column, "number", required=True)] if label else []
        return found + ([Source(_TIME, time.column, "seconds", True, _PER_SECOND[time.unit])] if time else [])

    def _read(self, engine: Engine, file: RawFile, names: Iterable[str], others: Sequence[Source]) -> RawTable:
        """The columns of some fields, and others, of one file."""
        parquet = file.path.suffix == ".parquet"
        sources = [*(self._source(name, parquet) for name in names), *others]
        found = read_parquet(engine, file, sources) if parquet else _read_csv(engine, file, sources, self.schema)
        table = found.table
        for name in names:
            field = self.schema.fields[name]
            if field.separator:
                table = _split(engine, replace(found, table=table), name, field.separator, field.type)
        missing = {_TIME: ibis.literal(0, "int64"), _LABEL: ibis.literal(1.0)}
        made = {name: value for name, value in missing.items() if name not in table.columns}
        return replace(found, table=engine.save(table.mutate(**made)))

    def _source(self, name: str, parquet: bool) -> Source:
        field = self.schema.fields[name]
        column = field.column or name
        required = name in (self.schema.user_id, self.schema.item_id)
        if field.kind == "dense":
            return Source(name, column, "number")
        if field.kind == "sequence" and not field.separator:
            if not parquet:
                message = f"fields.{name}.separator is needed: a csv file has no lists"
                raise InputError(message, path=self.path)
            return Source(name, column, "texts" if field.type == "string" else "ints")
        return Source(name, column, "int" if field.type == "int64" and not field.separator else "text", required)


def _read_csv(engine: Engine, file: RawFile, sources: Sequence[Source], schema: Schema) -> RawTable:
    columns: dict[str, Column] = {}
    for source in sources:
        kinds = {_CSV_KINDS[other.kind] for other in sources if other.column == source.column}
        if "text" in kinds and len(kinds) > 1:
            raise InputError(f"column {source.column} cannot be both text and a number", path=file.path)
        required = any(other.required for other in sources if other.column == source.column)
        columns[source.column] = Column(source.column, min(kinds), required)
    layout = Layout(tuple(columns.values()), schema.delimiter, header=True, quote='"', encoding="utf-8")
    raw = read(engine, file, layout)
    values = {source.name: _csv_values(raw.table[source.column], source) for source in sources}
    return replace(raw, table=raw.table.select("row", **values))


def _csv_values(column: ir.Column, source: Source) -> ir.Value:
    if source.kind == "number":
        return column.cast("float64")
    return column if source.per_second == 1 else (column // source.per_second).cast("int64")


def _split(engine: Engine, raw: RawTable, name: str, separator: str, kind: str) -> ir.Table:
    """A text column as lists."""
    texts = raw.table[name].nullif("").split(separator)
    if kind == "string":
        return raw.table.mutate(**{name: texts})
    table = raw.table.mutate(**{name: texts.map(lambda text: text.try_cast("int64")), "given": raw.table[name]})
    wrong = table.filter(table[name].filter(lambda number: number.isnull()).length() > 0)
    raw.check(engine, wrong.select("row", "given"), f"{name} has to hold integers. Received: {{given}}")
    return table.drop("given")


def _labelled(engine: Engine, rows: RawTable, label: LabelSchema | None) -> ir.Table:
    """The rows that have a label, 0 or 1."""
    table = rows.table
    if label is None:
        return table.mutate(**{_LABEL: ibis.literal(1, "int8")})
    if label.leave_out:
        table = table.filter(~table[_LABEL].isin(label.leave_out))
    if label.positive_from is not None:
        return table.mutate(**{_LABEL: (table[_LABEL] >= label.positive_from).cast("int8")})
    wrong = table.filter(~table[_LABEL].isin([0.0, 1.0])).select("row", _LABEL)
    what = f"{label.column} has to be 0 or 1, or the schema needs label.positive_from. Received: {{{_LABEL}}}"
    rows.check(engine, wrong, what)
    return table.mutate(**{_LABEL: table[_LABEL].cast("int8")})
