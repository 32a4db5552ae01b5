"""Names of the columns that the preparation makes. They begin with an underscore, and a field's name never does."""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir

from features import FeatureSpec, RowColumn

ROW, TIMESTAMP, LABEL = "_row", "_timestamp", "_label"
"""Of a data set's rows: the number of the raw file's data line, from 0; seconds since 1970; 0, 1 or
null."""
PART, SHUFFLE = "_part", "_shuffle"
"""A row's part, as its place in :data:`preprocess.splits.PARTS`, and where it lies among the training rows."""
USER, ITEM = "_user", "_item"
"""The number, from 0, of a row's user and item among those that have a row."""
REQUEST, STAGE, ROW_WEIGHT, TEACHER = "_request", "_stage", "_row_weight", "_teacher"
"""What a data set's rows may carry besides: their request, how far they got, their weight, a ranker's logit."""
POSITION = "_position"
"""A row's place in the list that was shown, for weights against position bias."""
CARRIED: dict[RowColumn, str] = {"request": REQUEST, "stage": STAGE, "weight": ROW_WEIGHT, "teacher": TEACHER}
"""Their names, by what a feature specification calls them."""
FURTHER_LABEL = "_label_{}"
"""Name of the column with a label beside the first."""
WEIGHT = "_weight"
"""How many training rows a line stands for."""
INDEX = "_index_{}"
"""Name of the column with a field's indices, beside its raw values."""


def further_labels(spec: FeatureSpec) -> list[str]:
    """The columns of the labels beside the first."""
    return [FURTHER_LABEL.format(name) for name in spec.labels[1:]]


def with_columns(table: ir.Table, columns: Mapping[str, ir.Value]) -> ir.Table:
    """A table with more or changed columns, of whatever names: Ibis's keywords leave some names out."""
    return table.mutate(*(value.name(name) for name, value in columns.items()))


def only(table: ir.Table, *names: str, **columns: ir.Value) -> ir.Table:
    """Some columns of a table, and others made of it, which have the preparation's names."""
    return table.select(*(table[name] for name in names), **columns)


def renamed(table: ir.Table, columns: Mapping[str, ir.Value]) -> ir.Table:
    """A table of columns by name, of whatever names."""
    return table.select(*(value.name(name) for name, value in columns.items()))
