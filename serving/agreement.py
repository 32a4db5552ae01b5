"""What storing item states in fewer bits changes: AUC, and who is among the first 100."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from errors import InputError
from serving.artefact import Artefact
from serving.index import ItemStates
from serving.items import columns, read_table
from serving.snapshot import Snapshot, lookup_of
from serving.storage import StoredArray

_TOP = 100
_USERS = 200


def report(model: Artefact, states: ItemStates, exact: Mapping[str, np.ndarray], rows: Path) -> Iterator[str]:
    """Lines that compare an index with one of float32.

    Args:
        model: whose index it is.
        states: the index.
        exact: its arrays (parts, N, width) in float32, in the same order.
        rows: Parquet with every user feature, the item id and the label, in raw spelling; without the label only the
            first 100 are compared.

    Raises:
        InputError: `rows` cannot be read or lacks a column.
    """
    table = read_table(rows)
    users = model.user_tower(columns(table, model.inputs("user"), rows))
    full = {name: StoredArray.encode(array, "float32") for name, array in exact.items()}
    lookup = lookup_of(states.ids)
    stored = Snapshot("", (0, 0), states, lookup)
    reference = Snapshot("", (0, 0), ItemStates(states.ids, full, "float32"), lookup)

    label = model.features["specification"]["label"]
    if label in table.column_names:
        yield _compare_auc(model, users, table, rows, label, reference, stored)
    else:
        yield f"{rows} has no column {label!r}: AUC not compared"
    first = _first_rows(model, table)
    overlaps = []
    for row in first:
        user = _prepared(model, users, row)
        best = [set(_best(snapshot.score(model.kernel, user))) for snapshot in (reference, stored)]
        overlaps.append(len(best[0] & best[1]) / len(best[0]))
    yield f"{states.dtype} against float32, top {min(_TOP, len(states.ids))} of {len(first)} users: " + (
        f"{np.mean(overlaps):.4f} agree on average, {np.min(overlaps):.4f} at least"
    )


def _prepared(model: Artefact, users: Mapping[str, np.ndarray], row: int) -> Any:
    return model.kernel.prepare({name: part[row] for name, part in users.items()})


def _first_rows(model: Artefact, table: Any) -> list[int]:
    """A row of each of some users, as spread over the file."""
    names = model.features["specification"]["user_id"]
    distinct = np.flatnonzero(~pd.Series(table[names].to_numpy()).duplicated())
    return distinct[np.unique(np.linspace(0, len(distinct) - 1, _USERS).astype(int))].tolist()


def _best(scores: np.ndarray) -> list[int]:
    return np.argsort(-scores, kind="stable")[:_TOP].tolist()


def _compare_auc(model, users, table, rows, label, reference, stored) -> str:
    ids = columns(table, [field for field in model.inputs("item") if field["name"] == model.item_id], rows)[0]
    positions = reference.positions(ids)
    known = np.flatnonzero(positions >= 0)
    labels = np.asarray(table[label])[known]
    if len(set(labels.tolist())) < 2:
        raise InputError(f"column {label!r}: expected rows with 0 and rows with 1 on items of the index", path=rows)
    found = []
    for snapshot in (reference, stored):
        one = [
            snapshot.score(model.kernel, _prepared(model, users, row), positions[row : row + 1])[0]
            for row in known.tolist()
        ]
        found.append(roc_auc_score(labels, one))
    left_out = f" ({len(ids) - len(known)} rows left out, their items are not in the index)" * (len(known) < len(ids))
    return (
        f"{stored.states.dtype} against float32, {len(known)} rows of {rows}{left_out}: "
        f"AUC {found[1]:.5f} against {found[0]:.5f}, {found[1] - found[0]:+.5f}"
    )
