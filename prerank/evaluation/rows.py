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
from prerank.items import columns, read_table
from prerank.values import WrongValueError, short

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
    table = _one_table(read_table(path), path)
    label = label or model.features["specification"]["label"]
    labels = _numbers(table, label, path)
    table = table.filter(pa.array(~np.isnan(labels)))
    labels = labels[~np.isnan(labels)]
    if not len(labels):
        raise InputError("there are no rows with a label", path=path)
    if wrong := [value for value in np.unique(labels).tolist() if value not in (0, 1)]:
        raise InputError(f"column {label!r}: expected 0 and 1 only. Received: {wrong[0]:g}", path=path)
    weights = None if weight is None else np.nan_to_num(_numbers(table, weight, path), nan=1.0)
    if weights is not None and not (weights >= 0).all():
        raise InputError(f"column {weight!r}: expected numbers of 0 or more", path=path)
    user_id = model.features["specification"]["user_id"]
    fields = [field for field in model.inputs() if field["name"] == user_id]
    users = columns(table, fields, path)[0]
    return Rows(path, table, labels.astype(np.int64), users, weights)


def _one_table(rows: items.Rows, path: Path) -> pa.Table:
    """The files of a folder as one table, of the columns that all have."""
    names = rows.column_names
    try:
        return pa.concat_tables([one.select(names) for _, one in rows.files], promote_options="permissive")
    except (pa.ArrowException, KeyError) as error:
        raise InputError(f"the files of a folder need columns of the same types: {error}", path=path) from error


def _numbers(table: pa.Table, name: str, path: Path) -> np.ndarray:
    if name not in table.column_names:
        raise InputError(f"column {name!r} is missing", path=path)
    try:
        return to_numpy(column(table[name], "label"), "number").astype(np.float64)
    except WrongValueError as error:
        message = f"{name} has to be {error.expected}. Received: {short(error.value)}"
        raise InputError(message, path=f"{path}, row {(error.place or 0) + 1}") from error


def lacking(model: Artefact, table: pa.Table) -> list[str]:
    """The model's inputs that a table lacks, and that have a default which counts instead."""
    return [f["name"] for f in model.inputs() if f["name"] not in table.column_names and "default" in f]


def predict(model: Artefact, table: pa.Table, path: Path) -> dict[str, np.ndarray]:
    """The outputs of `serving_default`, by name, (n,) float32, of all rows of a table.

    Raises:
        InputError: a column is missing and has no default, or a value is wrong.
    """
    found = list(_batches(model, table, path))
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


def _batches(model: Artefact, table: pa.Table, path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    fields = model.inputs()
    signature = model.signature("serving_default", [field["name"] for field in fields])
    table = with_defaults(fields, table)
    for start in range(0, max(len(table), 1), _BATCH):
        part = table.slice(start, _BATCH)
        try:
            yield signature(columns(part, fields, path))
        except InputError as error:
            if start:  # its row is counted from the beginning of a part
                raise InputError(f"in the rows from {start + 1} on: {error}") from error
            raise


def with_defaults(fields: Sequence[Mapping[str, Any]], table: pa.Table) -> pa.Table:
    """A table with a column of nothing for each input that it lacks and that has a default."""
    for field in fields:
        if field["name"] not in table.column_names and "default" in field:
            table = table.append_column(field["name"], pa.nulls(len(table)))
    return table
