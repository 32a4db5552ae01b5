"""The mean label of items, from what an export counted and the rows since.

    mean = (positives + 5 g) / (rows + 5)

`rows` and `positives` are an item's labelled rows and those of them with label 1, in all data that the export counts
and in the rows since. `g` is the mean label of the training rows, as the model was trained with it: the default of the
field in `features.json`. It is the formula of the data preparation, so a refreshed mean is what a model expects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prerank.artefact import Artefact
from prerank.columns import column, to_numpy
from prerank.errors import InputError
from prerank.items import Rows, columns, read_table
from prerank.layout import ITEM_COUNTS
from prerank.lookup import lookup_of
from prerank.values import PRIOR_ROWS

_COUNT = {"kind": "sparse", "dtype": "int64"}


@dataclass(frozen=True)
class RefreshedMeans:
    """Items with rows since the export.

    Attributes:
        field: name of the input that is the mean.
        ids: (n,) the items, each once.
        means: (n,) float64.
        rows: labelled rows since the export.
    """

    field: str
    ids: np.ndarray
    means: np.ndarray
    rows: int


def refreshed(model: Artefact, path: Path, label: str | None = None) -> RefreshedMeans:
    """The means of all items that rows since the export have.

    Args:
        model: whose export has counts.
        path: Parquet file or folder of all rows since the rows that the export counts: the item's id, and the label.
        label: column of the labels, 0 or 1, or missing; by default the data set's own name of it.

    Raises:
        InputError: the model has no mean of items, or its export no counts; or the rows cannot be read, have no label,
            or lack an id.
    """
    field = _field(model)
    known, rows, positives = _counted(model)
    given = read_table(path)
    name = label or model.features["specification"]["label"]
    labels = to_numpy(given.column(name, lambda values: column(values, "label")), "number")
    labelled = ~np.isnan(labels)
    if wrong := [value for value in np.unique(labels[labelled]).tolist() if value not in (0, 1)]:
        place = given.place(int(np.argmax(labels == wrong[0])))
        raise InputError(f"{name}: expected 0 and 1 only. Received: {wrong[0]:g}", path=place)
    if not labelled.any():
        raise InputError("--refresh_means: there are no rows with a label", path=path)
    id_field = _id_field(model)
    items = columns(given, [id_field], path)[0]
    if (lost := labelled & (items == id_field["missing"])).any():
        raise InputError(f"{model.item_id} is missing", path=given.place(int(np.argmax(lost))))
    ids, places = np.unique(items[labelled], return_inverse=True)
    new_rows = np.bincount(places, minlength=len(ids))
    new_positives = np.bincount(places, labels[labelled], minlength=len(ids)).astype(np.int64)
    found = lookup_of(known).positions(ids)
    old_rows, old_positives = (_of(found, counts) for counts in (rows, positives))
    g = float(field["default"])
    means = (old_positives + new_positives + PRIOR_ROWS * g) / (old_rows + new_rows + PRIOR_ROWS)
    return RefreshedMeans(field["name"], ids, means, int(labelled.sum()))


def completed(model: Artefact, rows: Rows, path: Path) -> Rows:
    """Rows with the means that follow from the export's counts, where they lack the column and the export has counts.

    Args:
        model: the exported model.
        rows: with the item's id.
        path: of the rows.
    """
    name = model.features["specification"].get("item_mean")
    if model.asks != "user" or name is None or name in rows.column_names or not (model.folder / ITEM_COUNTS).is_file():
        return rows
    field = _field(model)
    ids, counts, positives = _counted(model)
    g, lookup, files = float(field["default"]), lookup_of(ids), []
    for file, table in rows.files:
        found = lookup.positions(columns(Rows(((file, table),)), [_id_field(model)], path)[0])
        old_rows, old_positives = (_of(found, values) for values in (counts, positives))
        means = (old_positives + PRIOR_ROWS * g) / (old_rows + PRIOR_ROWS)
        files.append((file, table.append_column(name, pa.array(means, pa.float64()))))
    return replace(rows, files=tuple(files))


def _of(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (n,) at some places, and 0 where a place is -1."""
    return np.where(places >= 0, values[np.maximum(places, 0)], 0) if len(values) else np.zeros(len(places), np.int64)


def with_means(means: RefreshedMeans, rows: Rows, model: Artefact, path: Path) -> Rows:
    """The items of a catalogue that have a refreshed mean, with it.

    Args:
        means: of items.
        rows: every item feature, in raw spelling.
        model: says which column is the id.
        path: of the rows.
    """
    lookup, files = lookup_of(means.ids), []
    for file, table in rows.files:
        found = lookup.positions(columns(Rows(((file, table),)), [_id_field(model)], path)[0])
        chosen = np.flatnonzero(found >= 0)
        part = table.take(chosen)
        if means.field in part.column_names:
            part = part.drop_columns([means.field])
        files.append((file, part.append_column(means.field, pa.array(means.means[found[chosen]]))))
    return Rows(tuple(files))


def _id_field(model: Artefact) -> Mapping[str, Any]:
    return next(field for field in model.inputs("item") if field["name"] == model.item_id)


def _field(model: Artefact) -> Mapping[str, Any]:
    name = model.features["specification"].get("item_mean")
    field = next((field for field in model.inputs("item") if field["name"] == name), None)
    if field is None or not isinstance(field.get("default"), int | float):
        raise InputError("--refresh_means: the model takes no mean label of an item", path=model.folder)
    return field


def _counted(model: Artefact) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ids (n,) that the export counts, their rows and their positives."""
    path = model.folder / ITEM_COUNTS
    if not path.is_file():
        raise InputError(
            f"--refresh_means needs {ITEM_COUNTS} in the export: train with --save_state all", path=model.folder
        )
    model.check_beside(path)
    id_field = _id_field(model)
    fields = [dict(id_field, name="key"), _COUNT | {"name": "rows"}, _COUNT | {"name": "positives"}]
    ids, rows, positives = columns(read_table(path), fields, path)
    return ids, rows, positives
