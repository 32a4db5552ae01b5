"""As-of state: what was known of a row's user and item when the row happened (protocol, strict, 3).

All of it is counts of rows and of positives, so integers; the means are made from them at the end.
An as-of count is a window over the rows strictly before the row's timestamp: rows at the same time,
the row itself among them, are outside the frame.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.options import ResolvedOptions
from preprocess.sequences import END, EVERYTHING, SEQUENCE, Sequences
from preprocess.splits import TEST, TRAIN
from preprocess.vocabulary import INDEX

GROUP, ITEM_GROUP = "group", "item_group"
"""Columns with the number, from 0, of a row's user and item among those that have a row."""

PRIOR_ROWS = 5
"""Rows at the training mean label that every mean starts from."""
_LIKED, _LOGGED = "liked", "logged"


def with_counts(rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions) -> ir.Table:
    """Adds what the means and the history of each row are made of, all int64, as far as the spec has them.

    `user_rows`, `user_positives`, `item_rows`, `item_positives`: counts behind the two means.
    `liked`: how many of the user's positives the row may know, the first ones in time.

    Args:
        rows: every row, with `part`, `timestamp`, `label` and the ids of user and item; counts that
            :func:`with_whole_counts` added stay as they are.
        spec: names of the ids.
        options: the state, and whether the `target_mean` leak is on.
    """
    counted = rows.part == TRAIN if options.state == "frozen" else ibis.literal(True)
    rows = rows.mutate(is_test=rows.part == TEST, one=counted.cast("int64"))
    rows = rows.mutate(positive=rows.one * rows.label)
    columns = {"liked": _before(rows, "positive", spec.user_id)} if spec.liked else {}
    for side, key in _averaged(spec):
        if f"{side}_rows" in rows.columns:
            continue
        if "target_mean" in options.leaks:
            whole = ibis.window(group_by=[rows[key], rows.is_test])
            columns[f"{side}_rows"] = rows.count().over(whole)
            columns[f"{side}_positives"] = rows.label.cast("int64").sum().over(whole)
        else:
            columns[f"{side}_rows"] = _before(rows, "one", key)
            columns[f"{side}_positives"] = _before(rows, "positive", key)
    columns = {name: column.cast("int64") for name, column in columns.items()}
    return rows.mutate(**columns).drop("is_test", "one", "positive")


def _averaged(spec: FeatureSpec) -> list[tuple[str, str]]:
    """The sides that have a mean label, with their ids."""
    means = (("user", spec.user_id, spec.user_mean), ("item", spec.item_id, spec.item_mean))
    return [(side, key) for side, key, mean in means if mean]


def with_whole_counts(rows: ir.Table, spec: FeatureSpec) -> ir.Table:
    """Adds the counts behind the two means over all rows, whatever their part: the `target_mean` leak of some data."""
    columns = {}
    for side, key in _averaged(spec):
        whole = ibis.window(group_by=rows[key])
        columns[f"{side}_rows"] = rows.count().over(whole).cast("int64")
        columns[f"{side}_positives"] = rows.label.cast("int64").sum().over(whole).cast("int64")
    return rows.mutate(**columns)


def _before(rows: ir.Table, column: str, key: str) -> ir.IntegerColumn:
    """Sum of a column over the rows with the same key and a timestamp at least 1 s smaller."""
    window = ibis.range_window(preceding=(None, 1), group_by=key, order_by="timestamp")
    return rows[column].sum().over(window).fill_null(0)


def mean_label(
    positives: ir.IntegerValue, rows: ir.IntegerValue, training: tuple[int, int], plain: bool
) -> ir.FloatingValue:
    """Mean label as float64.

    Strict: (positives + 5 g) / (rows + 5) with g the training mean label. Plain (the `target_mean` leak):
    positives / rows, and g where there is no row. Written as one quotient of integers, so correctly
    rounded and the same on every engine.

    Args:
        positives: integer column, positives behind each mean.
        rows: integer column, rows behind each mean.
        training: positives and rows of the training part.
        plain: no prior.
    """
    prior_positives, prior_rows = (int(number) for number in training)
    if plain:
        known = rows > 0
        above, below = known.ifelse(positives, prior_positives), known.ifelse(rows, prior_rows)
    else:
        above = positives * prior_rows + PRIOR_ROWS * prior_positives
        below = (rows + PRIOR_ROWS) * prior_rows
    return above.cast("float64") / below.cast("float64")


def current_counts(rows: ir.Table, item: str, options: ResolvedOptions) -> ir.Table:
    """`item_rows` and `item_positives` of each item after the last row: what a catalogue has to hold.

    State online: after all rows. Frozen: after all training rows. `target_mean` leak: the counts that
    training and validation rows were given.
    """
    if "item_rows" in rows.columns:
        counts = ("item_rows", "item_positives")
        return rows.group_by(item).agg(**{name: rows[name].max() for name in counts})
    if "target_mean" in options.leaks:
        rows = rows.filter(rows.part != TEST)
    elif options.state == "frozen":
        rows = rows.filter(rows.part == TRAIN)
    return rows.group_by(item).agg(item_rows=rows.count(), item_positives=rows.label.cast("int64").sum())


def with_history(rows: ir.Table, options: ResolvedOptions, index: str, name: str) -> tuple[ir.Table, Sequences]:
    """What the history is cut out of: item indices of the user's positives, oldest first, at most `max_history`.

    Positives at the same time are in the order of the raw file. A row knows those that :func:`with_counts` has counted
    as `liked`; with the `history` leak all of the user's positives among the test rows, or among the others, the row
    itself included.

    Args:
        rows: every row, with the columns of :func:`with_counts` and the number of its user.
        options: the state, the length, and whether the leak is on.
        index: int32 column of `rows` with the item's index.
        name: name of the history.

    Returns:
        The rows with the columns of the sequences, and the sequences.
    """
    number, end = SEQUENCE.format(_LIKED), END.format(_LIKED)
    leak = "history" in options.leaks
    of_part = rows[GROUP] * 2 + (rows.part == TEST).cast("int32") if leak else rows[GROUP]
    known = ibis.literal(EVERYTHING) if leak else rows.liked
    rows = rows.mutate(**{number: of_part.cast("int32"), end: known.cast("int32")})
    positives = rows.filter(rows.label == 1)
    if options.state == "frozen" and not leak:
        positives = positives.filter(positives.part == TRAIN)
    entries = positives.select(number, "timestamp", "row", **{name: positives[index]})
    return rows, Sequences(_LIKED, entries, ("timestamp", "row"), (name,), options.max_history)


def of_training_time(behaviours: ir.Table, rows: ir.Table, spec: FeatureSpec, everything: bool) -> ir.Table:
    """The behaviours of users with a row; `known` says which of them a training row of the user may know.

    Those are the ones before the user's last training row; with `everything`, all.
    """
    user = spec.user_id
    ends = rows.group_by(user).agg(end=rows.timestamp.max(where=rows.part == TRAIN))
    joined = behaviours.join(ends, user)
    known = ibis.literal(True) if everything else (joined.timestamp < joined.end).fill_null(False)
    return joined.select(*behaviours.columns, known=known)


def with_behaviours(
    engine: Engine, rows: ir.Table, log: ir.Table, spec: FeatureSpec, options: ResolvedOptions
) -> tuple[ir.Table, Sequences]:
    """What the sequences in `spec.behaviours` are cut out of.

    A row's sequences are the last `max_history` behaviours of its user strictly before its time, oldest first (those of
    one time in the order of the log's `row`), and with state frozen none after the last training row. Place k of each
    sequence is the same behaviour; a value that it lacks is :data:`features.MISSING` there. No leak touches them: a
    behaviour has no label.

    Args:
        engine: keeps what comes between.
        rows: every row, kept, with `row`, `part`, `timestamp` and the number of its user.
        log: behaviours of users of `rows`: the number of the user, `timestamp`, `row`, and the indices.
        spec: names of the fields.
        options: the state and the length.

    Returns:
        The rows with the columns of the sequences, kept, and the sequences.
    """
    number, end = SEQUENCE.format(_LOGGED), END.format(_LOGGED)
    if options.state == "frozen":
        last = rows.filter(rows.part == TRAIN).agg(last_training_time=lambda training: training.timestamp.max())
        joined = log.cross_join(last)
        log = joined.filter(joined.timestamp <= joined.last_training_time).drop("last_training_time")
    places = _placed(_merged(rows, log))
    ends = engine.save(places.filter(~places.logged).select(of_row="row", **{end: places.place}))
    joined = rows.join(ends, rows.row == ends.of_row).drop("of_row")
    joined = engine.save(joined.mutate(**{number: joined[GROUP]}))
    fields = {name: log[INDEX.format(name)] for name in spec.behaviours}
    entries = log.select("timestamp", "row", **{number: log[GROUP]}, **fields)
    return joined, Sequences(_LOGGED, entries, ("timestamp", "row"), spec.behaviours, options.max_history)


def _merged(rows: ir.Table, log: ir.Table) -> ir.Table:
    """Rows and behaviours as one table; `logged` says which line is which."""
    asked = rows.select(GROUP, "timestamp", "row", logged=ibis.literal(False))
    return asked.union(log.select(GROUP, "timestamp", "row", logged=ibis.literal(True)))


def _placed(merged: ir.Table) -> ir.Table:
    """Adds `place`: how many behaviours of the user are strictly before a row.

    At the same time rows come first, so that they do not count the behaviours of that time.
    """
    order = [merged.timestamp, merged.logged.cast("int8"), merged.row]
    so_far = ibis.cumulative_window(group_by=merged[GROUP], order_by=order)
    return merged.mutate(place=merged.logged.cast("int64").sum().over(so_far).cast("int32"))
