"""Writes samples as Parquet, and measures what is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import ROW_COLUMNS, UNLABELLED, UNSEEN, FeatureSpec, RowColumn
from preprocess.engines import Engine
from preprocess.names import (
    CARRIED,
    ITEM,
    LABEL,
    PART,
    REQUEST,
    ROW,
    SHUFFLE,
    TIMESTAMP,
    USER,
    further_labels,
)
from preprocess.samples import Samples
from preprocess.sequences import Store
from preprocess.splits import PARTS, TRAIN

ROWS_PER_FILE = 122_880

_KINDS = {"sparse": pa.int32(), "sequence": pa.list_(pa.int32()), "dense": pa.float64()}
_OTHERS = {
    "group": (USER, pa.int32()),
    "item_group": (ITEM, pa.int32()),
    "row": (ROW, pa.int64()),
    "timestamp": (TIMESTAMP, pa.int64()),
}
"""What is written beside the fields and the label: its name, if no field has it, its name until then, and its type."""
_CARRIED_TYPES: dict[RowColumn, pa.DataType] = {
    "request": pa.int32(),
    "stage": pa.int8(),
    "weight": pa.float32(),
    "teacher": pa.float32(),
}
_STILL = 2.0**-23
"""Numbers that vary by less of their size than this, the precision of 32 bits, do not vary."""


def write_part(engine: Engine, samples: Samples, stores: Sequence[Store], place: int, folder: Path) -> list[Path]:
    """Write one part as `folder/part-NNNNN.parquet`: training rows in random order, others by row.

    Where the rows have a request, those of a training request lie one after another, in one file.
    """
    folder.mkdir()
    spec = samples.spec
    names, schema = _schema(spec)
    rows = samples.rows.filter(samples.rows[PART] == place)
    whole = REQUEST if place == TRAIN and "request" in spec.row_columns else None
    order = [SHUFFLE, whole, ROW] if whole else [SHUFFLE, ROW] if place == TRAIN else [ROW]
    rows = rows.order_by(order).drop(PART, SHUFFLE)
    batches = engine.batches(rows, ROWS_PER_FILE)
    files = []
    for number, table in enumerate(
        of_whole_groups(batches, ROWS_PER_FILE, whole) if whole else of_equal_size(batches, ROWS_PER_FILE)
    ):
        for store in stores:
            for name, lists in store.lists(*(table[column].to_numpy() for column in store.sequences.columns)).items():
                table = table.append_column(name, lists)
        files.append(folder / f"part-{number:05}.parquet")
        if "teacher" in spec.row_columns:
            table = _without_nulls(table, CARRIED["teacher"])
        pq.write_table(table.select(names).rename_columns(schema.names).cast(schema), files[-1])
    return files


def _schema(spec: FeatureSpec) -> tuple[list[str], pa.Schema]:
    """The columns of a part as the engine names them, and as they are written."""
    fields = {field.name: _KINDS[field.kind] for field in spec.fields}
    others = {spec.beside(name): kind for name, (_, kind) in _OTHERS.items()}
    carried = [name for name in ROW_COLUMNS if name in spec.row_columns]
    others |= {spec.beside(name): _CARRIED_TYPES[name] for name in carried}
    others |= {spec.label_of(name): pa.int8() for name in spec.labels[1:]}
    names = [*fields, LABEL, *(name for name, _ in _OTHERS.values()), *(CARRIED[name] for name in carried)]
    return [*names, *further_labels(spec)], pa.schema(fields | {spec.label: pa.int8()} | others)


def of_equal_size(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Record batches put together anew to tables of `rows` rows; the last may be smaller."""
    pending: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        while held + len(batch) >= rows:
            cut = rows - held
            yield pa.Table.from_batches([*pending, batch.slice(0, cut)])
            pending, held, batch = [], 0, batch.slice(cut)
        if len(batch):
            pending.append(batch)
            held += len(batch)
    if pending:
        yield pa.Table.from_batches(pending)


def of_whole_groups(batches: Iterable[pa.RecordBatch], rows: int, column: str) -> Iterator[pa.Table]:
    """Record batches put together anew to tables of at most `rows` rows, none of which cuts a group.

    Args:
        batches: rows whose groups lie one after another.
        rows: the most rows of a table; a larger group is a table of its own.
        column: integers that name a row's group.
    """
    pending: pa.Table | None = None
    for batch in batches:
        added = pa.Table.from_batches([batch])
        pending = added if pending is None else pa.concat_tables([pending, added])
        while len(pending) > rows:
            groups = pending[column].to_numpy()
            ends = np.flatnonzero(groups[1:] != groups[:-1]) + 1
            if not len(ends):
                break  # one group so far
            cut = int(ends[max(int(np.searchsorted(ends, rows, side="right")) - 1, 0)])
            yield pending.slice(0, cut)
            pending = pending.slice(cut)
    if pending is not None and len(pending):
        yield pending


def _without_nulls(table: pa.Table, name: str) -> pa.Table:
    """The table with NaN for null in a column of numbers."""
    place = table.column_names.index(name)
    numbers = table[name].cast(pa.float64())
    return table.set_column(place, name, pc.fill_null(numbers, pa.scalar(float("nan"), pa.float64())))


def write_table(engine: Engine, table: ir.Table, file: Path) -> None:
    """Write a small table as one file."""
    pq.write_table(engine.table(table), file)


def scaled(spec: FeatureSpec, files: Sequence[Path]) -> FeatureSpec:
    """The spec with mean and population standard deviation of each dense field over the files of a part.

    The sums run over the files in their order, so they are the same each time, on any engine. The scale of numbers that
    do not vary is 1, and their mean is one of them: what a sum says of them is its rounding errors.
    """
    fields = []
    for field in spec.fields:
        if field.kind == "dense":
            values = _numbers(files, [field.name])[field.name]
            mean, scale = float(values.mean()), float(values.std())
            if scale <= _STILL * float(np.abs(values).max()):
                mean, scale = float(values[0]), 1.0
            field = replace(field, mean=mean, scale=scale)
        fields.append(field)
    return replace(spec, fields=tuple(fields))


def out_of_vocabulary(spec: FeatureSpec, files: Sequence[Path]) -> dict[str, float]:
    """By field, the share of a part's rows whose value is out of vocabulary; of sequences, the share of all elements.

    A hashed field has no such values. Of a part without rows nothing is said.
    """
    names = [field.name for field in spec.fields if files and field.vocabulary and not field.hash_buckets]
    unseen, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for file in files:
        table = pq.read_table(file, columns=names)
        for name in names:
            column = table[name].combine_chunks()
            values = (column.flatten() if pa.types.is_list(column.type) else column).to_numpy(zero_copy_only=False)
            unseen[name] += int(np.count_nonzero(values == UNSEEN))
            total[name] += len(values)
    return {name: unseen[name] / total[name] if total[name] else 0.0 for name in names}


def measure(spec: FeatureSpec, files: Mapping[str, Sequence[Path]]) -> dict[str, dict[str, Any]]:
    """By part: `rows`, `positives`, distinct `users` and `items`, `unseen_user_share` and `unseen_item_share`.

    The shares are of rows whose user or item has no training row, whatever the vocabularies hold. Where rows have no
    label, `labelled` says how many have one. Where they have a request or a stage, `requests` says of how many, and
    `stages` how many rows ended at each stage.

    Args:
        spec: of the samples.
        files: of each part, by name.
    """
    label = spec.label
    sides = {"user": spec.beside("group"), "item": spec.beside("item_group")}
    columns = {part: _numbers(files[part], (label, *sides.values())) for part in PARTS}
    found: dict[str, dict[str, Any]] = {
        part: {"rows": len(values[label]), "positives": int(np.count_nonzero(values[label] == 1))}
        for part, values in columns.items()
    }
    if any((values[label] == UNLABELLED).any() for values in columns.values()):
        for part, values in columns.items():
            found[part]["labelled"] = int(np.count_nonzero(values[label] != UNLABELLED))
    for part in PARTS:
        found[part] |= _measure_requests(spec, files[part]) | _measure_labels(spec, files[part])
    for side, name in sides.items():
        seen = np.zeros(1 + max(int(values[name].max(initial=-1)) for values in columns.values()), bool)
        seen[columns[PARTS[TRAIN]][name]] = True
        for part, values in columns.items():
            distinct = int(np.count_nonzero(np.bincount(values[name], minlength=len(seen))))
            unseen = len(values[name]) - int(np.count_nonzero(seen[values[name]]))
            found[part] |= {f"{side}s": distinct, f"unseen_{side}_share": unseen / max(len(values[name]), 1)}
    return found


def _measure_labels(spec: FeatureSpec, files: Sequence[Path]) -> dict[str, Any]:
    """How many rows have each of several labels, and how many of them are positives."""
    if not spec.labels:
        return {}
    columns = {name: spec.label_of(name) for name in spec.labels}
    values = _numbers(files, list(columns.values()))
    found = {name: values[column] for name, column in columns.items()}
    return {
        "labels": {
            name: {
                "labelled": int(np.count_nonzero(labels != UNLABELLED)),
                "positives": int(np.count_nonzero(labels == 1)),
            }
            for name, labels in found.items()
        }
    }


def _measure_requests(spec: FeatureSpec, files: Sequence[Path]) -> dict[str, Any]:
    """How many requests a part has, and how many rows of each stage, by the stage."""
    found: dict[str, Any] = {}
    if "request" in spec.row_columns:
        name = spec.beside("request")
        found["requests"] = len(np.unique(_numbers(files, [name])[name]))
    if "stage" in spec.row_columns:
        name = spec.beside("stage")
        counts = np.bincount(_numbers(files, [name])[name])
        found["stages"] = {str(stage): int(rows) for stage, rows in enumerate(counts) if rows}
    return found


def _numbers(files: Sequence[Path], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of some files, one file after another; without a file, no rows."""
    tables = [pq.read_table(file, columns=list(names)) for file in files]
    if not tables:
        return {name: np.empty(0, np.int64) for name in names}
    return {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in names}
