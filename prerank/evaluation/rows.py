"""Labelled rows in raw spelling, and what an exported model says of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prerank import items
from prerank.artefact import Artefact
from prerank.columns import column, to_numpy
from prerank.errors import InputError
from prerank.item_means import completed
from prerank.items import columns, read_table

_BATCH = 8192


@dataclass(frozen=True)
class Rows:
    """Rows of a file.

    Attributes:
        path: the file.
        table: its columns.
        labels: (n,) 0 or 1.
        users: (n,) the user's id, as texts.
        weights: (n,) how much each counts, or None.
    """

    path: Path
    table: pa.Table
    labels: np.ndarray
    users: np.ndarray
    weights: np.ndarray | None

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.labels)


def read_rows(model: Artefact, path: Path, label: str | None = None, weight: str | None = None) -> Rows:
    """Labelled rows for a model; those without a label are left out.

    Args:
        model: whose features the columns are.
        path: a Parquet file or folder.
        label: column of the labels; by default the data set's own name of it.
        weight: column of the rows' weights, 1 where it is missing; or None.

    Raises:
        InputError: the file cannot be read, has no labelled row, or lacks a column; or a value is wrong.
    """
    given = completed(model, read_table(path), path)
    label = label or model.features["specification"]["label"]
    labels = _numbers(given, label)
    labelled = ~np.isnan(labels)
    if not labelled.any():
        raise InputError("there are no rows with a label", path=path)
    if wrong := [value for value in np.unique(labels[labelled]).tolist() if value not in (0, 1)]:
        raise InputError(f"column {label!r}: expected 0 and 1 only. Received: {wrong[0]:g}", path=path)
    weights = None if weight is None else np.nan_to_num(_numbers(given, weight)[labelled], nan=1.0)
    if weights is not None and not (weights >= 0).all():
        raise InputError(f"column {weight!r}: expected numbers of 0 or more", path=path)
    table = _one_table(given, model.inputs()).filter(pa.array(labelled))
    user_id = model.features["specification"]["user_id"]
    fields = [field for field in model.inputs() if field["name"] == user_id]
    users = columns(table, fields, path)[0]
    return Rows(path, table, labels[labelled].astype(np.int64), users, weights)


def _one_table(rows: items.Rows, fields: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The files of a folder as one table, of the columns that all have. All rows are read by the contract of values.

    A column that is of another type in one file than in the next is a field's by its contract, as in training; another
    one is texts, or left out where that cannot be.
    """
    known, found = {field["name"]: field for field in fields}, {}
    for name in rows.column_names:
        read = items.column_of(rows, known[name]) if name in known else None
        types = {table.schema.field(name).type for _, table in rows.files}
        if len(types) == 1:
            found[name] = pa.chunked_array(
                [part for _, table in rows.files for part in table[name].chunks], types.pop()
            )
        elif read is not None:
            found[name] = read
        elif (joined := _joined(rows, name)) is not None:
            found[name] = joined
    return pa.table(found)


def _joined(rows: items.Rows, name: str) -> pa.ChunkedArray | pa.Array | None:
    try:
        parts = [table.select([name]) for _, table in rows.files]
        return pa.concat_tables(parts, promote_options="permissive")[name]
    except pa.ArrowException:
        pass  # such as texts in one file and integers in the next
    try:
        return rows.column(name, lambda values: column(values, "text"))
    except InputError:
        return None


def _numbers(rows: items.Rows, name: str) -> np.ndarray:
    return to_numpy(rows.column(name, lambda values: column(values, "label")), "number").astype(np.float64)


def lacking(model: Artefact, table: pa.Table) -> list[str]:
    """The model's inputs that a table lacks, and that have a default which counts instead."""
    return [f["name"] for f in model.inputs() if f["name"] not in table.column_names and "default" in f]


def predict(model: Artefact, table: pa.Table, path: Path, before: int = 0) -> dict[str, np.ndarray]:
    """The outputs of `serving_default`, by name, (n,) float32, of all rows of a table.

    Args:
        model: the exported model.
        table: the rows.
        path: the file that they are from.
        before: rows of the file that come before them.

    Raises:
        InputError: a column is missing and has no default, or a value is wrong.
    """
    found = list(_batches(model, table, path, before))
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


def _batches(model: Artefact, table: pa.Table, path: Path, before: int) -> Iterator[Mapping[str, np.ndarray]]:
    fields = model.inputs()
    signature = model.signature("serving_default", [field["name"] for field in fields])
    table = with_defaults(fields, table)
    for start in range(0, max(len(table), 1), _BATCH):
        part = items.Rows(((path, table.slice(start, _BATCH)),), before + start)
        yield signature(columns(part, fields, path))


def with_defaults(fields: Sequence[Mapping[str, Any]], table: pa.Table) -> pa.Table:
    """A table with a column of nothing for each input that it lacks and that has a default."""
    for field in fields:
        if field["name"] not in table.column_names and "default" in field:
            table = table.append_column(field["name"], pa.nulls(len(table)))
    return table
