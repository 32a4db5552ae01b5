"""How far the inputs of new rows are from those of rows before: the population stability index, and unseen values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from prerank.items import Rows, columns

_MOST_VALUES = 20
_BINS = 10
_MISSING, _OTHER = "(missing)", "(other)"


def psi(before: np.ndarray, now: np.ndarray) -> float:
    """Population stability index of counts (k,): Σ (q − p) · ln(q / p), of shares with half a row added to each count.

    Below 0.1 little has changed, above 0.25 much has; by custom, not by a test. 0 if one has no row.
    """
    if not before.sum() or not now.sum():
        return 0.0
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before, now))
    return float(np.sum((q - p) * np.log(q / p)))


def of_field(field: Mapping[str, Any], before: Rows, now: pa.Table, paths: tuple[Any, Any]) -> float:
    """The index of one input, between two tables that have its column.

    A number has ten bins of equally many earlier rows, an id its twenty most frequent earlier values and all others
    together; what is missing is a bin of its own. Of a sequence each element counts.
    """
    earlier, later = (_values(field, table, path) for table, path in zip((before, now), paths, strict=True))
    if field["kind"] == "dense":
        edges = np.empty(0)
        if not np.isnan(earlier).all():
            edges = np.unique(np.nanquantile(earlier, np.linspace(0, 1, _BINS + 1)[1:-1]))
        return psi(*(_binned(values, edges) for values in (earlier, later)))
    most = pd.Series(earlier).value_counts().index[:_MOST_VALUES]
    names = [*most, _OTHER]
    counted = [
        pd.Series(values).where(pd.Series(values).isin(most), _OTHER).value_counts() for values in (earlier, later)
    ]
    return psi(*(counts.reindex(names, fill_value=0).to_numpy(np.float64) for counts in counted))


def _values(field: Mapping[str, Any], table: Rows | pa.Table, path: Any) -> np.ndarray:
    found = columns(table, [field], path)[0]
    if field["kind"] == "dense":
        return found.astype(np.float64)
    missing = field["missing"]
    flat = found.reshape(-1)
    if field["kind"] == "sequence":
        return flat[flat != missing].astype(object)
    return np.where(flat == missing, _MISSING, flat.astype(object))


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(np.float64)
