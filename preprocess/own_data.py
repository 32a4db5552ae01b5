"""Data of one's own: Parquet or csv files, whose columns a schema explains (docs/own-data.md)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field as Option
from pydantic import model_validator

from features import Side
from preprocess import schema as schemas
from preprocess.dataset import Adapter, RawData, check_coverage
from preprocess.delimited import read, split
from preprocess.engines import Engine
from preprocess.kuairec import KuaiRec
from preprocess.names import (
    CARRIED,
    FURTHER_LABEL,
    LABEL,
    POSITION,
    REQUEST,
    ROW,
    ROW_WEIGHT,
    STAGE,
    TEACHER,
    TIMESTAMP,
    further_labels,
    only,
)
from preprocess.options import DataOptions, ResolvedOptions
from preprocess.parquet_rows import Source, read_parquet
from preprocess.propensity import Propensity
from preprocess.raw import Column, Layout, RawFile, RawTable
from preprocess.recflow import RecFlow
from preprocess.schema import LabelSchema, PositionSchema, Schema, StageSchema
from prerank.errors import InputError
from prerank.values import KINDS, TOO_LARGE, short

_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_LAST_STAGE = 127
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


with warnings.catch_warnings():
    # pydantic's models have a deprecated method of that name
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class OwnDataOptions(DataOptions):
        """Options of data of one's own."""

        schema: Path | None = Option(  # type: ignore[assignment]
            None, description="YAML file that explains the data's columns, see docs/own-data.md"
        )

        dataset: Literal["recflow", "kuairec"] | None = Option(
            None,
            description="a data set whose official layout is known, in place of --schema; see docs/cascade-data.md",
        )
        kuairec_matrix: Literal["small", "big"] = Option(
            "small", description="kuairec only: the small matrix, of all pairs of its users and videos, or the big one"
        )
        kuairec_positive_from: float = Option(
            2.0, gt=0, le=1000, description="kuairec only: a row is a positive from this watch ratio on"
        )

        @model_validator(mode="after")
        def _one_layout(self) -> OwnDataOptions:
            if self.dataset and self.schema:
                raise ValueError("--dataset has a layout of its own: --schema cannot be given with it")
            for name in ("kuairec_matrix", "kuairec_positive_from"):
                given = getattr(self, name)
                if self.dataset != "kuairec" and given != type(self).model_fields[name].default:
                    raise ValueError(f"--{name} needs --dataset kuairec. Received: --{name} {given}")
            return self

        def adapter(self, default: Adapter) -> Adapter:
            if self.dataset == "recflow":
                return RecFlow()
            if self.dataset == "kuairec":
                return KuaiRec(self.kuairec_matrix, self.kuairec_positive_from)
            return OwnData.load(self.schema) if self.schema else default


class NoSchema:
    """Stands for the adapter as long as the user has named no schema."""

    name = "your own data"
    samples_version = 0

    def find(self, data_path: Path) -> dict[str, Path]:
        """Say what is missing.

        Raises:
            InputError: always.
        """
        raise InputError(
            "--schema is needed: a YAML file that explains the data's columns, see docs/own-data.md; "
            "or --dataset, for a data set whose layout is known"
        )

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

    samples_version: ClassVar[int] = 2

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
            if path.is_dir():
                continue  # of Parquet files, as Spark writes them: RawFile looks what is in it
            if not path.is_file():
                what = f"files.{role} in {self.path} names it" if named else "--data_path names one file or folder"
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
        rows = self._read(engine, files["rows"], dict.fromkeys([*of_rows, *joined]), self._of_the_row())
        tables = {}
        for role, key in keys.items():
            others = [name for name in described[role] if name != key]
            if role in files:
                table = self._read(engine, files[role], [key, *others], [])
                table.check_unique(engine, key)
                check_coverage(engine, rows, key, table, key)
                tables[role] = engine.save(only(table.table, key, *others))
            else:
                tables[role] = rows.one_each(engine, key, others)
        rows = rows.with_table(_labelled(engine, rows, schema))
        for name, label in schema.further_labels.items():
            rows = rows.with_table(_with_label(engine, rows, label, FURTHER_LABEL.format(name)))
        rows = rows.with_table(_carried(engine, rows, schema))
        made = rows.table
        if schema.time is None:
            made = made.mutate(**{TIMESTAMP: ibis.literal(0, "int64")})
        if schema.position:
            made = _placed(engine, rows, schema.position, made)
        carried = [*(CARRIED[name] for name in spec.row_columns), *further_labels(spec)]
        carried += [POSITION] if schema.position else []
        return RawData(
            rows=engine.save(only(made, ROW, TIMESTAMP, LABEL, *of_rows, *carried)),
            users=tables["users"],
            items=tables["items"],
            spec=spec,
            utc_offset=schema.utc_offset,
            timed=schema.time is not None,
            propensity=_propensity(schema.position),
        )

    def _of_the_row(self) -> list[Source]:
        """Label, time and what else a row carries. Weights and logits are read as labels are: -1 is a value there."""
        schema, found = self.schema, []
        if schema.label:
            found.append(Source(LABEL, schema.label.column, "label", required=not schema.may_lack(schema.label)))
        for name, label in schema.further_labels.items():
            required = not schema.may_lack(label)
            found.append(Source(FURTHER_LABEL.format(name), label.column, "label", required=required))
        if schema.time:
            found.append(Source(TIMESTAMP, schema.time.column, "seconds", True, _PER_SECOND[schema.time.unit]))
        if schema.request:
            found.append(Source(REQUEST, schema.request.column, KINDS[schema.request.type], required=True))
        if schema.stage:
            found.append(Source(STAGE, schema.stage.column, "text" if schema.stage.order else "int", required=True))
        if schema.weight:
            found.append(Source(ROW_WEIGHT, schema.weight, "label"))
        if schema.position:
            found.append(Source(POSITION, schema.position.column, "int"))
        if schema.teacher:
            found.append(Source(TEACHER, schema.teacher, "label"))
        return found

    def _read(self, engine: Engine, file: RawFile, names: Iterable[str], others: Sequence[Source]) -> RawTable:
        """The columns of some fields, and others, of one file."""
        sources = [*(self._source(name, file.is_parquet) for name in names), *others]
        found = read_parquet(engine, file, sources) if file.is_parquet else self._read_csv(engine, file, sources)
        if not file.is_parquet:
            for name in names:
                field = self.schema.fields[name]
                if field.separator:
                    found = split(engine, found, name, field.separator, KINDS[field.type], field.column)
        return found.with_table(engine.save(found.table))

    def _source(self, name: str, parquet: bool) -> Source:
        field = self.schema.fields[name]
        column = field.column or name
        if field.kind == "dense":
            return Source(name, column, "number")
        if field.kind == "sequence":
            if parquet:
                return Source(name, column, KINDS[field.type], sequence=True, separator=field.separator or "")
            if not field.separator:
                raise InputError(f"fields.{name}.separator is needed: a csv file has no lists", path=self.path)
            return Source(name, column, "text")
        required = name in (self.schema.user_id, self.schema.item_id)
        return Source(name, column, KINDS[field.type], required)

    def _read_csv(self, engine: Engine, file: RawFile, sources: Sequence[Source]) -> RawTable:
        columns = tuple(
            Column(source.name, source.kind, source.required, source=source.column, per_second=source.per_second)
            for source in sources
        )
        return read(engine, file, Layout(columns, self.schema.delimiter, header=True, quote='"', encoding="utf-8"))


def _labelled(engine: Engine, rows: RawTable, schema: Schema) -> ir.Table:
    """The rows that the label's rule does not leave out, with a label of 0 or 1, or null where there is none."""
    table, label = rows.table, schema.label
    if label is None:
        return table.mutate(**{LABEL: ibis.literal(1, "int8")})
    if label.leave_out:
        table = table.filter(~table[LABEL].isin(label.leave_out).fill_null(False))
    return _with_label(engine, rows.with_table(table), label, LABEL)


def _with_label(engine: Engine, rows: RawTable, label: LabelSchema, name: str) -> ir.Table:
    """The rows with the column `name` as a label by its rule: 0, 1, or null for a number that is left out."""
    table = rows.table
    if label.leave_out:
        table = table.mutate(**{name: table[name].isin(label.leave_out).ifelse(ibis.null("float64"), table[name])})
    if label.positive_from is not None:
        return table.mutate(**{name: (table[name] >= label.positive_from).cast("int8")})
    what = f"{label.column} has to be 0 or 1, or the schema needs label.positive_from"
    wrong = only(table.filter(~table[name].isin([0.0, 1.0])), ROW, name)
    rows.check(engine, wrong, lambda row: f"{what}. Received: {row[name]}")
    return table.mutate(**{name: table[name].cast("int8")})


def _carried(engine: Engine, rows: RawTable, schema: Schema) -> ir.Table:
    """The rows with their request, stage, weight and teacher's logit, checked, as far as the schema has them."""
    table = rows.table
    if schema.request:
        rows.one_each(engine, REQUEST, [schema.user_id], schema.request.column)
    if schema.stage:
        table = table.mutate(**{STAGE: _stage(engine, rows, schema.stage)})
    for name, column, least in ((ROW_WEIGHT, schema.weight, 0.0), (TEACHER, schema.teacher, -TOO_LARGE)):
        if column:
            wrong = table.filter((table[name] < least) | (table[name].abs() >= TOO_LARGE))
            what = f"{column} has to be a finite number of 32 bits{', 0 or more' if least == 0 else ''}"
            _check(engine, rows, wrong, name, what)
    return table


def _placed(engine: Engine, rows: RawTable, position: PositionSchema, made: ir.Table) -> ir.Table:
    """The rows with a weight, 1 where the data have none, once their places are checked."""
    wrong = made.filter(made[POSITION] < position.first)
    _check(engine, rows, wrong, POSITION, f"{position.column} has to be an integer from {position.first} on")
    return made if ROW_WEIGHT in made.columns else made.mutate(**{ROW_WEIGHT: ibis.literal(1.0, "float64")})


def _propensity(position: PositionSchema | None) -> Propensity | None:
    if position is None:
        return None
    return Propensity(position.propensity, position.first, position.largest_weight, position.column)


def _check(engine: Engine, rows: RawTable, wrong: ir.Table, name: str, what: str) -> None:
    rows.check(engine, only(wrong, ROW, name), lambda row: f"{what}. Received: {short(row[name])}")


def _stage(engine: Engine, rows: RawTable, stage: StageSchema) -> ir.IntegerColumn:
    """The stage as an integer: of names their place in the order, from 1."""
    given = rows.table[STAGE]
    if stage.order is None:
        what = f"{stage.column} has to be an integer from 0 to {_LAST_STAGE}, or the schema needs stage.order"
        _check(engine, rows, rows.table.filter(~given.between(0, _LAST_STAGE)), STAGE, what)
        return given.cast("int8")
    what = f"{stage.column} has to be one of {', '.join(stage.order)}"
    _check(engine, rows, rows.table.filter(~given.isin(stage.order)), STAGE, what)
    places = [(given == name, place) for place, name in enumerate(stage.order, 1)]
    return ibis.cases(*places).cast("int8")
