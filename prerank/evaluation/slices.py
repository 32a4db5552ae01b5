"""Parts of some rows by the values of columns, such as `device=phone`."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from prerank.errors import InputError
from prerank.evaluation.rows import Rows

_MOST = 20
_BINS = 5


def slices(rows: Rows, by: Sequence[str]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Column, value and rows (n,) bool of each slice: of ids the twenty most frequent, of numbers five equal parts.

    Raises:
        InputError: there is no such column, or it holds lists.
    """
    for name in by:
        if name not in rows.table.column_names:
            raise InputError(f"--by: there is no column {name!r}", path=rows.path)
        values = rows.table[name].to_pandas(integer_object_nulls=True)
        if len(values) and values.map(lambda value: isinstance(value, np.ndarray | list)).any():
            raise InputError(f"--by: the column {name!r} holds lists", path=rows.path)
        if values.dtype.kind == "f" and values.nunique() > _MOST:
            values = pd.qcut(values, _BINS, duplicates="drop")
        texts = (
            values.astype(object).where(values.notna(), None).map(lambda value: "(missing)" if value is None else value)
        )
        counts = texts.astype(str).value_counts()
        for value in counts.index[:_MOST]:
            yield name, value, (texts.astype(str) == value).to_numpy()
        if len(counts) > _MOST:
            yield name, "(other)", (~texts.astype(str).isin(counts.index[:_MOST])).to_numpy()
