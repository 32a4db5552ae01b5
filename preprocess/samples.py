"""From the raw tables of a data set to its samples, as Ibis expressions: the protocol, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from errors import InputError
from features import FeatureSpec, Side
from preprocess import splits, state, vocabulary
from preprocess.dataset import RawData
from preprocess.engine import DuckDBEngine
from preprocess.options import ResolvedOptions
from preprocess.splits import PARTS, TRAIN
from preprocess.vocabulary import INDEX

LABEL, GROUP, ITEM_GROUP = "label", "group", "item_group"


@dataclass(frozen=True)
class Samples:
    """What is written to disk.

    Attributes:
        rows: the columns of the parts, and `part` and `shuffle`.
        catalogue: every item in raw spelling with its current mean label, by its id.
        vocabularies: tables of `value` and `index`, by name.
        spec: with vocabulary sizes, lengths and defaults; without means and scales.
        training_mean_label: g of the protocol.
    """

    rows: ir.Table
    catalogue: ir.Table
    vocabularies: dict[str, ir.Table]
    spec: FeatureSpec
    training_mean_label: float


def build(engine: DuckDBEngine, raw: RawData, options: ResolvedOptions) -> Samples:
    """Apply the protocol to a data set.

    Order, as in the public code: rows without a label are already dropped, then the users' sample, the
    split, the user filter (a leak), and only then vocabularies, means and histories.

    Raises:
        InputError: a part would be empty.
    """
    rows = _parted(engine, raw, options)
    training = _training(engine, rows, options)
    spec, vocabularies = _fitted(engine, raw, rows, options)
    spec = _with_default(spec, training[0] / training[1])
    users = _features(engine, raw.users, rows, spec, "user", vocabularies)
    items = _features(engine, raw.items, rows, spec, "item", vocabularies)
    counted = engine.save(state.with_counts(rows, spec, options))
    joined = counted.join(users, spec.user_id).join(items, spec.item_id)
    if spec.history:
        name = INDEX.format(spec.history)
        joined = state.with_history(joined, spec, options, INDEX.format(spec.item_id), name)
    return Samples(
        rows=_columns(joined, spec, training, "target_mean" in options.leaks),
        catalogue=_catalogue(raw.items, rows, spec, options, training),
        vocabularies=vocabularies,
        spec=spec,
        training_mean_label=training[0] / training[1],
    )


def _parted(engine: DuckDBEngine, raw: RawData, options: ResolvedOptions) -> ir.Table:
    rows = splits.sample_users(raw.rows, raw.spec.user_id, options.sample_rate)
    rows = splits.with_part(engine.save(splits.with_order(rows, raw.spec)), raw.spec, options)
    if "user_filter" in options.leaks:
        rows = splits.drop_users_without_positive(rows, raw.spec.user_id)
    return engine.save(rows)


def _training(engine: DuckDBEngine, rows: ir.Table, options: ResolvedOptions) -> tuple[int, int]:
    """Positives and rows of the training part."""
    counts = rows.group_by("part").agg(rows=rows.count(), positives=rows.label.cast("int64").sum())
    found = {row["part"]: row for row in counts.to_pyarrow().to_pylist()}
    sizes = {name: found.get(place, {"rows": 0})["rows"] for place, name in enumerate(PARTS)}
    if not all(sizes.values()):
        received = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"too few rows for --split {options.split}: every part needs some. Received: {received}")
    return found[TRAIN]["positives"], found[TRAIN]["rows"]


def _fitted(
    engine: DuckDBEngine, raw: RawData, rows: ir.Table, options: ResolvedOptions
) -> tuple[FeatureSpec, dict[str, ir.Table]]:
    """Vocabularies from the training rows (from all rows with the `encoders` leak), and the spec with their sizes."""
    spec = raw.spec
    learnt = rows if "encoders" in options.leaks else rows.filter(rows.part == TRAIN)
    tables: dict[Side, ir.Table] = {
        "user": raw.users.semi_join(learnt, spec.user_id),
        "item": raw.items.semi_join(learnt, spec.item_id),
    }
    vocabularies = vocabulary.fit(engine, tables, spec)
    sizes = {name: engine.one(table.agg(size=table.count()))["size"] for name, table in vocabularies.items()}
    fields = []
    for field in spec.fields:
        if field.vocabulary:
            field = replace(field, vocabulary_size=vocabulary.RESERVED + sizes[field.vocabulary])
        if field.name == spec.history:
            field = replace(field, max_length=options.max_history)
        elif field.kind == "sequence":
            table = raw.users if field.side == "user" else raw.items
            longest = engine.one(table.agg(longest=table[field.name].length().max()))["longest"]
            field = replace(field, max_length=max(longest or 0, 1))
        fields.append(field)
    return replace(spec, fields=tuple(fields)), vocabularies


def _with_default(spec: FeatureSpec, training_mean_label: float) -> FeatureSpec:
    """A missing mean counts as the training mean label."""
    means = {spec.user_mean, spec.item_mean}
    fields = (replace(field, default=training_mean_label) if field.name in means else field for field in spec.fields)
    return replace(spec, fields=tuple(fields))


def _features(
    engine: DuckDBEngine,
    table: ir.Table,
    rows: ir.Table,
    spec: FeatureSpec,
    side: Side,
    vocabularies: dict[str, ir.Table],
) -> ir.Table:
    """Indices of every user or item that has a row, and its number among them, by its id."""
    key, number = (spec.user_id, GROUP) if side == "user" else (spec.item_id, ITEM_GROUP)
    present = rows.select(key).distinct()
    present = present.mutate(**{number: ibis.row_number().over(order_by=present[key]).cast("int32")})
    indexed = table.join(present, key)
    fields = vocabulary.raw_fields(spec, side)
    for field in fields:
        indexed = vocabulary.with_index(indexed, key, field, vocabularies[field.vocabulary])
    return engine.save(indexed.select(key, number, *(INDEX.format(field.name) for field in fields)))


def _columns(joined: ir.Table, spec: FeatureSpec, training: tuple[int, int], plain: bool) -> ir.Table:
    """The columns that are written, in the order of the spec's fields."""
    columns: dict[str, ir.Value] = {}
    for field in spec.fields:
        if field.name == spec.user_mean:
            columns[field.name] = state.mean_label(joined.user_positives, joined.user_rows, training, plain)
        elif field.name == spec.item_mean:
            columns[field.name] = state.mean_label(joined.item_positives, joined.item_rows, training, plain)
        else:
            columns[field.name] = joined[INDEX.format(field.name)]
    columns[LABEL] = joined.label.cast("int8")
    return joined.select(
        **columns, **{name: name for name in (GROUP, ITEM_GROUP, "row", "timestamp", "part", "shuffle")}
    )


def _catalogue(
    items: ir.Table, rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions, training: tuple[int, int]
) -> ir.Table:
    fields = vocabulary.raw_fields(spec, "item")
    columns: dict[str, ir.Value] = {field.name: items[field.name] for field in fields}
    if spec.item_mean:
        items = items.left_join(state.current_counts(rows, spec.item_id, options), spec.item_id)
        counts = items.item_positives.fill_null(0), items.item_rows.fill_null(0)
        columns = {field.name: items[field.name] for field in fields}
        columns[spec.item_mean] = state.mean_label(*counts, training, "target_mean" in options.leaks)
    return items.select(**columns).order_by(spec.item_id)
