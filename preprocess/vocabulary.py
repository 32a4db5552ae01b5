"""Vocabularies: which raw values have an index of their own, and which index every value gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features import MISSING, RESERVED, UNSEEN, Field
from preprocess.engines import Engine
from preprocess.hashing import with_bucket
from preprocess.names import INDEX, WEIGHT, only
from preprocess.options import ResolvedOptions
from prerank.values import MISSING_INTEGER, MISSING_TEXT


@dataclass(frozen=True)
class Vocabulary:
    """The values of one embedding table.

    Attributes:
        values: a table of `value` and `index` (int32). Without buckets every value that has an index of its own,
            sorted, its place + :data:`features.RESERVED`; with buckets the smallest value of each, or null.
        size: lines of `values`.
        buckets: number of buckets if the values are hashed, else 0.
        counted: what later data grow it from, as :class:`Growth` has it; None if it is hashed, or nothing is kept.
    """

    values: ir.Table
    size: int
    buckets: int = 0
    counted: ir.Table | None = None


@dataclass(frozen=True)
class Growth:
    """Vocabularies of earlier data, which those of later data grow from.

    Attributes:
        counted: by name, a table of `value`, `weight` (its training rows so far), and `last` (the time at which the
            last data ended that had one).
        hashed: buckets of those that were hashed, and stay so; the others stay as they are, too.
        until: the time at which the later data end.
    """

    counted: Mapping[str, ir.Table]
    hashed: Mapping[str, int]
    until: int

    def grown(self, name: str, counted: ir.Table) -> ir.Table:
        """Values with their counts in earlier and later data; `counted` has `value` and `weight` of the later."""
        seen = (counted["weight"] > 0).ifelse(ibis.literal(self.until, "int64"), ibis.null("int64"))
        both = counted.mutate(last=seen)
        if name in self.counted:
            both = both.union(self.counted[name].select(both.columns))
        sums = both.group_by("value").agg(weight=both["weight"].sum().cast("int64"), last=both["last"].max())
        return sums.filter(sums["weight"] > 0)

    def buckets(self, name: str, size: int, options: ResolvedOptions) -> int:
        """How many buckets a vocabulary of so many values has; 0 if it is not hashed."""
        if name in self.counted or name in self.hashed:
            return self.hashed.get(name, 0)
        return _buckets(size, options)


def _buckets(size: int, options: ResolvedOptions) -> int:
    return options.hash_buckets if options.hash_buckets and size > options.hash_buckets else 0


def is_missing(value: ir.Column) -> ir.BooleanColumn:
    """Null, or the spelling of a missing id."""
    return value.isnull() | (value == (MISSING_TEXT if value.type().is_string() else MISSING_INTEGER))


def fit(
    engine: Engine,
    sources: Iterable[tuple[Field, ir.Table]],
    options: ResolvedOptions,
    growth: Growth | None = None,
) -> dict[str, Vocabulary]:
    """The vocabularies of a data set, by name.

    Args:
        engine: computes and keeps them.
        sources: the fields that are looked up, each with a table that has its raw values in a column of its name, one
            value or a list of them, and :data:`preprocess.names.WEIGHT`. Fields that name the same vocabulary share it.
        options: the fewest training rows of a value, and the most values before they are hashed.
        growth: the vocabularies of earlier data, if later data are to go on from these; None: nothing is kept.
    """
    values: dict[str, ir.Table] = {}
    for field, table in sources:
        column = table[field.name]
        value = column.unique().unnest() if column.type().is_array() else column
        new = table.select(value=value, weight=table[WEIGHT])
        old = values.get(field.vocabulary)
        values[field.vocabulary] = new if old is None else old.union(new)
    return {name: _fitted(engine, name, table, options, growth) for name, table in values.items()}


def _fitted(engine: Engine, name: str, values: ir.Table, options: ResolvedOptions, growth: Growth | None) -> Vocabulary:
    counted = values.filter(~is_missing(values.value)).group_by("value").agg(weight=values.weight.sum())
    counted = engine.save(counted if growth is None else growth.grown(name, counted))
    known = counted.filter(counted.weight >= options.min_count)
    size = engine.one(known.agg(size=known.count()))["size"]
    if buckets := _buckets(size, options) if growth is None else growth.buckets(name, size, options):
        return Vocabulary(engine.save(_smallest(counted, buckets)), buckets, buckets)
    place = ibis.row_number().over(order_by=known.value)
    numbered = known.select("value", index=(place + RESERVED).cast("int32")).order_by("index")
    return Vocabulary(engine.save(numbered), size, counted=None if growth is None else counted)


def _smallest(values: ir.Table, buckets: int) -> ir.Table:
    """The smallest value of each bucket."""
    hashed = with_bucket(values, "bucket", "value", buckets)
    smallest = hashed.group_by("bucket").agg(value=hashed.value.min())
    every = ibis.range(0, buckets).unnest().name("every").as_table()
    joined = every.left_join(smallest, every.every == smallest.bucket)
    return joined.select("value", index=(joined.every + RESERVED).cast("int32")).order_by("index")


def with_index(table: ir.Table, key: str, field: Field, vocabularies: Mapping[str, Vocabulary]) -> ir.Table:
    """Adds a field's indices to a table.

    The new column is called after :data:`preprocess.names.INDEX` and is int32, or a list of int32 where the field's
    column holds lists. A value that is not in the vocabulary gets :data:`features.UNSEEN`, a missing one
    :data:`features.MISSING`; a missing list is empty.

    Args:
        table: with a column of the field's name.
        key: column that no two lines share; needed for lists.
        field: which field.
        vocabularies: by name.
    """
    name, vocabulary = INDEX.format(field.name), vocabularies[field.vocabulary]
    if not table[field.name].type().is_array():
        return _lookup(table, field.name, vocabulary, name)
    flat = only(table, key, _value=table[field.name]).unnest("_value", offset="_place")
    found = _lookup(flat, "_value", vocabulary, name)
    # sorted afterwards: not every engine collects in an order
    placed = ibis.struct({"place": found["_place"], "index": found[name]})
    lists = found.group_by(key).agg(_placed=placed.collect())
    lists = only(lists, key, **{name: lists["_placed"].sort().map(lambda value: value["index"])})
    joined = table.left_join(lists, key, rname="_right_{name}")
    return only(joined, *table.columns, **{name: ibis.coalesce(joined[name], no_indices())})


def no_indices() -> ir.ArrayScalar:
    """An empty list of indices."""
    return ibis.literal([], "array<int32>")


def _lookup(table: ir.Table, column: str, vocabulary: Vocabulary, name: str) -> ir.Table:
    if vocabulary.buckets:
        hashed = with_bucket(table, name, column, vocabulary.buckets)
        index = is_missing(hashed[column]).ifelse(MISSING, hashed[name] + RESERVED)
        return only(hashed, *table.columns, **{name: index.cast("int32")})
    known = vocabulary.values.select(_known="value", **{name: "index"})
    joined = table.left_join(known, table[column] == known["_known"])
    otherwise = is_missing(joined[column]).ifelse(MISSING, UNSEEN).cast("int32")
    return only(joined, *table.columns, **{name: ibis.coalesce(joined[name], otherwise)})
