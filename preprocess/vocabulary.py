"""Vocabularies: which raw values have an index of their own, and which index every value gets."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field, Side
from preprocess.engine import DuckDBEngine

INDEX = "{}_index"
"""Name of the column with a field's indices, beside its raw values."""


def raw_fields(spec: FeatureSpec, side: Side) -> tuple[Field, ...]:
    """The fields of a side whose values come from its raw table: not the dense ones, and not the history."""
    return tuple(field for field in spec.side(side) if field.kind != "dense" and field.name != spec.history)


def is_missing(value: ir.Column) -> ir.BooleanColumn:
    """Null, '' (strings) or -1 (integers)."""
    return value.isnull() | (value == ("" if value.type().is_string() else -1))


def fit(engine: DuckDBEngine, tables: Mapping[Side, ir.Table], spec: FeatureSpec) -> dict[str, ir.Table]:
    """The vocabularies of a data set, by name.

    Args:
        engine: computes and keeps them.
        tables: the users and the items that may be learnt from, in raw spelling.
        spec: the fields. Those that name the same vocabulary share it.

    Returns:
        Tables with `value`, sorted, and `index` (int32), its place + :data:`features.RESERVED`.
    """
    values: dict[str, ir.Table] = {}
    for side, table in tables.items():
        for field in raw_fields(spec, side):
            column = table[field.name]
            new = table.select(value=column.unnest() if field.kind == "sequence" else column)
            old = values.get(field.vocabulary)
            values[field.vocabulary] = new if old is None else old.union(new)
    return {name: engine.save(_numbered(table)) for name, table in values.items()}


def _numbered(values: ir.Table) -> ir.Table:
    known = values.filter(~is_missing(values.value)).distinct()
    place = ibis.row_number().over(order_by=known.value)
    return known.mutate(index=(place + RESERVED).cast("int32")).order_by("index")


def with_index(table: ir.Table, key: str, field: Field, vocabulary: ir.Table) -> ir.Table:
    """Adds a field's indices to a table that has one row for each `key`.

    The new column is called after :data:`INDEX` and is int32, or a list of int32 for a sequence. A value
    that is not in the vocabulary gets :data:`features.UNSEEN`, a missing one :data:`features.MISSING`;
    a missing sequence is empty.
    """
    name = INDEX.format(field.name)
    if field.kind == "sparse":
        return _lookup(table, field.name, vocabulary, name)
    flat = table.select(key, value=table[field.name]).unnest("value", offset="place")
    found = _lookup(flat, "value", vocabulary, name)
    lists = found.group_by(key).agg(**{name: found[name].collect(order_by=found.place)})
    joined = table.left_join(lists, key)
    return joined.select(*table.columns, **{name: ibis.coalesce(joined[name], no_indices())})


def no_indices() -> ir.ArrayScalar:
    """An empty list of indices."""
    return ibis.literal([], "array<int32>")


def _lookup(table: ir.Table, column: str, vocabulary: ir.Table, name: str) -> ir.Table:
    known = vocabulary.select(known_value="value", **{name: "index"})
    joined = table.left_join(known, table[column] == known.known_value)
    otherwise = is_missing(joined[column]).ifelse(MISSING, UNSEEN).cast("int32")
    return joined.select(*table.columns, **{name: ibis.coalesce(joined[name], otherwise)})
