"""From the raw tables of a data set to its samples, as Ibis expressions: the protocol, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir
import numpy as np

from features import RESERVED, UNLABELLED, FeatureSpec, Field, Side
from preprocess import splits, state, vocabulary
from preprocess.dataset import RawData
from preprocess.engines import Engine
from preprocess.names import (
    CARRIED,
    INDEX,
    ITEM,
    LABEL,
    PART,
    REQUEST,
    ROW,
    ROW_WEIGHT,
    SHUFFLE,
    TIMESTAMP,
    USER,
    WEIGHT,
    further_labels,
    only,
    renamed,
    with_columns,
)
from preprocess.negatives import with_negatives
from preprocess.options import ResolvedOptions
from preprocess.propensity import with_propensity
from preprocess.sequences import Sequences
from preprocess.splits import PARTS, TRAIN
from preprocess.state import COUNTS
from preprocess.vocabulary import Vocabulary
from prerank.errors import InputError


@dataclass(frozen=True)
class Samples:
    """What is written to disk.

    Attributes:
        rows: the columns of the parts but those of `sequences`, and those of the preparation: what `sequences` need,
            and what :mod:`preprocess.names` has of rows.
        sequences: what the fields are cut out of that are no columns of `rows`.
        catalogue: every item in raw spelling with its current mean label, by its id, without fields of the context.
        vocabularies: by name.
        spec: with vocabulary sizes, lengths and defaults; without means and scales.
        training_mean_label: g of the protocol.
        propensity: by place, how likely a user looks at it; empty where places are not known.
    """

    rows: ir.Table
    sequences: list[Sequences]
    catalogue: ir.Table
    vocabularies: dict[str, Vocabulary]
    spec: FeatureSpec
    training_mean_label: float
    propensity: dict[int, float]


def build(engine: Engine, raw: RawData, options: ResolvedOptions) -> Samples:
    """Apply the protocol to a data set.

    Order, as in the public code: rows that the label's rule leaves out are already dropped, then the users' sample, the
    split, the user filter (a leak), sampled negatives, and only then vocabularies, means and histories.

    Raises:
        InputError: a part would be empty, the rows are of one class only, or the data are not timed and the split is.
    """
    rows = _parted(engine, raw, options)
    training = _training(engine, rows, options)
    looked_at: dict[int, float] = {}
    if raw.propensity is not None:
        rows, looked_at = with_propensity(engine, rows, raw.propensity)
        rows = engine.save(rows)
    raw = _completed(engine, raw, rows)
    spec, vocabularies = _fitted(engine, raw, rows, options)
    spec = _with_defaults(engine, raw, rows, spec, training[0] / training[1], options)
    users = _features(engine, raw.users, rows, spec, "user", vocabularies)
    items = _features(engine, raw.items, rows, spec, "item", vocabularies)
    numbers = users.select(spec.user_id, USER)
    counted = engine.save(state.with_counts(rows, spec, options).join(numbers, spec.user_id))
    sequences = []
    if raw.behaviours is not None:
        log = engine.save(_indexed_log(raw.behaviours.join(numbers, spec.user_id), spec, vocabularies))
        counted, logged = state.with_behaviours(engine, counted, log, spec, options)
        sequences.append(logged)
    joined = counted.join(users.drop(USER), spec.user_id).join(items, spec.item_id)
    joined = _with_fields(joined, ROW, [spec[name] for name in spec.context], vocabularies)
    if spec.liked:
        joined, liked = state.with_history(joined, options, INDEX.format(spec.item_id), spec.liked)
        sequences.append(liked)
    return Samples(
        rows=_columns(joined, spec, sequences, training, "target_mean" in options.leaks),
        sequences=sequences,
        catalogue=_catalogue(raw.items, rows, spec, options, training),
        vocabularies=vocabularies,
        spec=spec,
        training_mean_label=training[0] / training[1],
        propensity=looked_at,
    )


def _parted(engine: Engine, raw: RawData, options: ResolvedOptions) -> ir.Table:
    if not raw.timed and options.split not in ("random", "none"):
        raise InputError(
            f"--split {options.split}: the {raw.spec.dataset} data given have no time, only --split random is possible"
        )
    rows = splits.sample_users(raw.rows, raw.spec.user_id, options.sample_rate)
    if "request" in raw.spec.row_columns:
        rows = splits.with_request_time(rows)
    rows = engine.save(splits.with_order(rows, raw.spec))
    rows = splits.with_part(engine, rows, raw.spec, options, raw.utc_offset)
    if "user_filter" in options.leaks:
        rows = splits.drop_users_without_positive(rows, raw.spec.user_id, raw.filter_by_part)
    rows = engine.save(rows)
    if options.negatives:
        # a negative goes with its positive to a part, and to a place of its own among the training rows
        rows = with_negatives(engine, rows, raw.spec, options.negatives)
        rows = engine.save(splits.with_order(rows.drop(SHUFFLE), raw.spec))
    if raw.means_before_split and "target_mean" in options.leaks:
        rows = engine.save(state.with_whole_counts(rows, raw.spec))
    return engine.save(_with_request_number(rows)) if "request" in raw.spec.row_columns else rows


def _with_request_number(rows: ir.Table) -> ir.Table:
    """The rows with the number (int32, from 0, in the order of the ids) of their request in place of its id."""
    requests = rows.select(_id=rows[REQUEST]).distinct()
    requests = requests.mutate(_number=ibis.row_number().over(order_by=requests["_id"]).cast("int32"))
    joined = rows.join(requests, rows[REQUEST] == requests["_id"])
    return renamed(joined, {name: joined["_number" if name == REQUEST else name] for name in rows.columns})


def _training(engine: Engine, rows: ir.Table, options: ResolvedOptions) -> tuple[int, int]:
    """Positives and labelled rows of the training part."""
    counts = rows.group_by(PART).agg(rows=rows[LABEL].count(), positives=rows[LABEL].fill_null(0).cast("int64").sum())
    found = {row[PART]: row for row in engine.table(counts).to_pylist()}
    needed = PARTS[:1] if options.split == "none" else PARTS
    sizes = {name: found.get(place, {"rows": 0})["rows"] for place, name in enumerate(needed)}
    if not all(sizes.values()):
        received = ", ".join(f"{name} {size}" for name, size in sizes.items())
        what = "rows" if engine.one(rows.agg(all=rows[LABEL].notnull().all()))["all"] else "rows with a label"
        raise InputError(f"too few {what} for --split {options.split}: every part needs some. Received: {received}")
    if all(part["positives"] == part["rows"] for part in found.values()):
        raise InputError(
            "training needs positives and negatives, and the data hold positives only: "
            "--negatives N samples N other items for each"
        )
    return found[TRAIN]["positives"], found[TRAIN]["rows"]


def _completed(engine: Engine, raw: RawData, rows: ir.Table) -> RawData:
    """Users and items with a line for each id that has a row; what is not known of it is null."""

    def completed(table: ir.Table, key: str) -> ir.Table:
        unknown = rows.select(key).distinct().anti_join(table, key)
        empty = {name: ibis.null(kind) for name, kind in table.schema().items() if name != key}
        return engine.save(table.union(with_columns(unknown, empty).select(table.columns)))

    return replace(raw, users=completed(raw.users, raw.spec.user_id), items=completed(raw.items, raw.spec.item_id))


def _fitted(
    engine: Engine, raw: RawData, rows: ir.Table, options: ResolvedOptions
) -> tuple[FeatureSpec, dict[str, Vocabulary]]:
    """Vocabularies from the training rows (from all rows with the `encoders` leak), and the spec with their sizes."""
    spec = raw.spec
    vocabularies = vocabulary.fit(engine, _sources(engine, raw, rows, options), options)
    fields = []
    for field in spec.fields:
        if field.vocabulary:
            known = vocabularies[field.vocabulary]
            field = replace(field, vocabulary_size=RESERVED + known.size, hash_buckets=known.buckets)
        if field.name in (spec.liked, *spec.behaviours):
            field = replace(field, max_length=options.max_history, limit=options.max_history)
        elif field.kind == "sequence":
            table = rows if field.name in spec.context else raw.users if field.side == "user" else raw.items
            longest = engine.one(table.agg(longest=table[field.name].length().max()))["longest"]
            field = replace(field, max_length=max(longest or 0, 1))
        fields.append(field)
    return replace(spec, fields=tuple(fields)), vocabularies


def _sources(engine: Engine, raw: RawData, rows: ir.Table, options: ResolvedOptions) -> list[tuple[Field, ir.Table]]:
    """What the vocabularies are learnt from; each line says how many training rows (or behaviours) it stands for."""
    spec, everything = raw.spec, "encoders" in options.leaks
    weighted = rows.mutate(**{WEIGHT: (ibis.literal(True) if everything else rows[PART] == TRAIN).cast("int64")})

    def counted(table: ir.Table, key: str) -> ir.Table:
        counts = weighted.group_by(key).agg(**{WEIGHT: weighted[WEIGHT].sum()})
        joined = table.left_join(counts, key, rname="_right_{name}")
        return only(joined, *table.columns, **{WEIGHT: joined[WEIGHT].fill_null(0)})

    tables: dict[Side, ir.Table] = {
        "user": counted(raw.users, spec.user_id),
        "item": counted(raw.items, spec.item_id),
    }
    found = [(field, table) for side, table in tables.items() for field in spec.table_fields(side)]
    found += [(spec[name], weighted) for name in spec.context]
    if raw.behaviours is not None:
        log = state.of_training_time(raw.behaviours, rows, spec, everything)
        counted_log = log.group_by(spec.behaviours).agg(**{WEIGHT: log["_known"].cast("int64").sum()})
        log = engine.save(counted_log)
        found += [(spec[name], log) for name in spec.behaviours]
    return [(field, table) for field, table in found if field.vocabulary]


def _with_defaults(
    engine: Engine,
    raw: RawData,
    rows: ir.Table,
    spec: FeatureSpec,
    training_mean_label: float,
    options: ResolvedOptions,
) -> FeatureSpec:
    """What a missing number counts as.

    A mean label: the training mean label. A number of users or items: the mean over the distinct users or items of
    the training part that have it, each counted once. A number of the context: the mean over the training rows that
    have it. With the `encoders` leak all parts count.
    """
    learnt = rows if "encoders" in options.leaks else rows.filter(rows[PART] == TRAIN)
    fields = []
    for field in spec.fields:
        if field.name in (spec.user_mean, spec.item_mean):
            field = replace(field, default=training_mean_label)
        elif field.kind == "dense":
            key = spec.user_id if field.side == "user" else spec.item_id
            of_table = (raw.users if field.side == "user" else raw.items).semi_join(learnt, key)
            field = replace(
                field, default=_mean(engine, learnt if field.name in spec.context else of_table, field.name)
            )
        fields.append(field)
    return replace(spec, fields=tuple(fields))


def _mean(engine: Engine, table: ir.Table, name: str) -> float:
    """Mean of a column's numbers, 0 without any: summed in the order of values, so that each engine gets the same.

    In 32 bits, as an exported model is given numbers, so that a number that never varies is its own mean.
    """
    numbers = table.select(value=_number(table[name])).filter(lambda found: found.value.notnull())
    counts = engine.table(numbers.group_by("value").agg(times=numbers.count()).order_by("value"))
    times = counts["times"].to_numpy()
    return float(np.float32(counts["value"].to_numpy() @ times / times.sum())) if len(times) else 0.0


def _number(column: ir.Column) -> ir.FloatingColumn:
    """A column as float64, null where there is no number."""
    value = column.cast("float64")
    return value.isnan().ifelse(ibis.null("float64"), value)


def _features(
    engine: Engine,
    table: ir.Table,
    rows: ir.Table,
    spec: FeatureSpec,
    side: Side,
    vocabularies: dict[str, Vocabulary],
) -> ir.Table:
    """Indices and numbers of every user or item that has a row, and its place among them, by its id."""
    key, number = (spec.user_id, USER) if side == "user" else (spec.item_id, ITEM)
    present = rows.select(key).distinct()
    present = present.mutate(**{number: ibis.row_number().over(order_by=present[key]).cast("int32")})
    fields = spec.table_fields(side)
    indexed = _with_fields(table.join(present, key), key, fields, vocabularies)
    return engine.save(indexed.select(key, number, *(INDEX.format(field.name) for field in fields)))


def _with_fields(table: ir.Table, key: str, fields: Iterable[Field], vocabularies: dict[str, Vocabulary]) -> ir.Table:
    """Adds the indices of fields of a table, and its numbers with their defaults, all named after `INDEX`."""
    for field in fields:
        if field.kind == "dense":
            number = _number(table[field.name]).fill_null(field.default)
            table = table.mutate(**{INDEX.format(field.name): number})
        else:
            table = vocabulary.with_index(table, key, field, vocabularies)
    return table


def _indexed_log(behaviours: ir.Table, spec: FeatureSpec, vocabularies: dict[str, Vocabulary]) -> ir.Table:
    fields = [spec[name] for name in spec.behaviours]
    indexed = _with_fields(behaviours, ROW, fields, vocabularies)
    return indexed.select(USER, TIMESTAMP, ROW, *(INDEX.format(field.name) for field in fields))


def _columns(
    joined: ir.Table, spec: FeatureSpec, sequences: list[Sequences], training: tuple[int, int], plain: bool
) -> ir.Table:
    """The columns that are written, in the order of the spec's fields, and those that `sequences` need."""
    cut_out = {name for found in sequences for name in found.fields}
    columns: dict[str, ir.Value] = {}
    for field in spec.fields:
        if field.name in (spec.user_mean, spec.item_mean):
            rows, positives = (joined[name] for name in COUNTS[field.side])
            columns[field.name] = state.mean_label(positives, rows, training, plain)
        elif field.name not in cut_out:
            columns[field.name] = joined[INDEX.format(field.name)]
    columns[LABEL] = joined[LABEL].cast("int8").fill_null(UNLABELLED)
    columns |= {name: joined[name].cast("int8").fill_null(UNLABELLED) for name in further_labels(spec)}
    columns |= _carried(joined, spec)
    needed = [*(name for found in sequences for name in found.columns), USER, ITEM, ROW, TIMESTAMP, PART, SHUFFLE]
    return renamed(joined, {name: joined[name] for name in needed} | columns)


def _carried(joined: ir.Table, spec: FeatureSpec) -> dict[str, ir.Value]:
    """What the rows carry beside fields and label, by the preparation's names."""
    columns: dict[str, ir.Value] = {CARRIED[name]: joined[CARRIED[name]] for name in spec.row_columns}
    if "weight" in spec.row_columns:
        columns[ROW_WEIGHT] = joined[ROW_WEIGHT].fill_null(1.0)
    return columns


def _catalogue(
    items: ir.Table, rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions, training: tuple[int, int]
) -> ir.Table:
    fields = spec.table_fields("item")
    columns: dict[str, ir.Value] = {field.name: items[field.name] for field in fields}
    if spec.item_mean:
        counts = state.current_counts(rows, spec.item_id, options)
        items = items.left_join(counts, spec.item_id, rname="_right_{name}")
        known, positives = (items[name].fill_null(0) for name in COUNTS["item"])
        columns = {field.name: items[field.name] for field in fields}
        columns[spec.item_mean] = state.mean_label(positives, known, training, "target_mean" in options.leaks)
    return renamed(items, columns).order_by(spec.item_id)
