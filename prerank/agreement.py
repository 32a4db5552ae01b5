"""What storing item states in fewer bits changes: AUC, and who is among the first 100."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prerank.artefact import Artefact
from prerank.columns import column
from prerank.errors import InputError
from prerank.index import ItemStates
from prerank.items import Rows, columns, read_table
from prerank.lookup import lookup_of
from prerank.order import best_first
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray
from prerank.values import KINDS

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
        InputError: as :func:`check_rows`.
    """
    table = check_rows(model, rows)
    users = model.user_tower(columns(table, model.inputs("user"), rows))
    full = {name: StoredArray.encode(array, "float32") for name, array in exact.items()}
    lookup = lookup_of(states.ids)
    stored = Snapshot("", (0, 0), states, lookup)
    reference = Snapshot("", (0, 0), ItemStates(states.ids, full, "float32"), lookup)

    label = _label(model)
    if label in table.column_names:
        yield _compare_auc(model, users, table, rows, label, reference, stored)
    else:
        yield f"{rows} has no column {label!r}: AUC not compared"
    user_id = model.features["specification"]["user_id"]
    first = _first_rows(model, pa.table({user_id: _ids(model, table, user_id)}))
    overlaps = []
    for row in first:
        user = _prepared(model, users, row)
        best = [set(best_first(of.score(model.kernel, user), _TOP).tolist()) for of in (reference, stored)]
        overlaps.append(len(best[0] & best[1]) / len(best[0]))
    yield f"{states.dtype} against float32, top {min(_TOP, len(states.ids))} of {len(first)} users: " + (
        f"{np.mean(overlaps):.4f} agree on average, {np.min(overlaps):.4f} at least"
    )


def check_rows(model: Artefact, rows: Path) -> Rows:
    """Read rows to compare on, and see that they have what :func:`report` needs.

    Raises:
        InputError: the file cannot be read, has no rows, lacks a column, or has a label other than 0 and 1.
    """
    table = read_table(rows)
    if not len(table):
        raise InputError("there are no rows", path=rows)
    columns(table, model.inputs("user"), rows)
    label = _label(model)
    if label in table.column_names:
        columns(table, [_item_id(model)], rows)
        if not set(_labels(table, label).to_pylist()) <= {0, 1}:
            raise InputError(f"column {label!r}: expected 0 and 1 only", path=rows)
    return table


def _label(model: Artefact) -> str:
    return model.features["specification"]["label"]


def _labels(table: Rows, label: str) -> pa.Array:
    return table.column(label, lambda values: column(values, "label"))


def _ids(model: Artefact, table: Rows, name: str) -> pa.Array:
    dtype = next(field["dtype"] for field in model.inputs("user") if field["name"] == name)
    return table.column(name, lambda values: column(values, KINDS[dtype]))


def _item_id(model: Artefact) -> dict[str, Any]:
    return next(field for field in model.inputs("item") if field["name"] == model.item_id)


def _prepared(model: Artefact, users: Mapping[str, np.ndarray], row: int) -> Any:
    return model.kernel.prepare({name: part[row] for name, part in users.items()})


def _first_rows(model: Artefact, table: pa.Table) -> list[int]:
    """A row of each of some users, as spread over the file."""
    users = table[model.features["specification"]["user_id"]].combine_chunks().dictionary_encode().indices
    _, distinct = np.unique(users.fill_null(-1).to_numpy(zero_copy_only=False), return_index=True)
    return np.sort(distinct)[np.unique(np.linspace(0, len(distinct) - 1, _USERS).astype(int))].tolist()


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve of scores (N,) for labels (N,) of 0 and 1, both of which occur; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # equal scores share the mean of their ranks
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positives = np.count_nonzero(labels)
    above = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(labels) - positives)))


def _compare_auc(model, users, table, rows, label, reference, stored) -> str:
    ids = columns(table, [_item_id(model)], rows)[0]
    positions = reference.positions(ids)
    known = np.flatnonzero(positions >= 0)
    labels = np.asarray(_labels(table, label))[known]
    if len(set(labels.tolist())) < 2:
        return f"{rows} has not both rows with 0 and rows with 1 on items of the index: AUC not compared"
    found = []
    for snapshot in (reference, stored):
        one = [
            snapshot.answer(model.kernel, _prepared(model, users, row), positions[row : row + 1])[-1, 0]
            for row in known.tolist()
        ]
        found.append(auc(labels, np.array(one)))
    left_out = f" ({len(ids) - len(known)} rows left out, their items are not in the index)" * (len(known) < len(ids))
    return (
        f"{stored.states.dtype} against float32, {len(known)} rows of {rows}{left_out}: "
        f"AUC {found[1]:.5f} against {found[0]:.5f}, {found[1] - found[0]:+.5f}"
    )
