"""As-of state: what was known of a row's user and item when the row happened (protocol, strict, 3).

All of it is counts of labelled rows and of positives, so integers; the means are made from them at the end.
An as-of count is a window over the rows strictly before the row's timestamp: rows at the same time,
the row itself among them, are outside the frame.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.names import INDEX, LABEL, PART, ROW, TIMESTAMP, USER, only
from preprocess.options import ResolvedOptions
from preprocess.sequences import END, EVERYTHING, SEQUENCE, Sequences
from preprocess.splits import TEST, TRAIN
from prerank.values import PRIOR_ROWS

_LIKED_SEQUENCE, _LOGGED = "liked", "logged"
LIKED = "_liked"
"""The column that says how many of the user's positives a row may know."""
COUNTS = {side: (f"_{side}_rows", f"_{side}_positives") for side in ("user", "item")}
"""By side, the columns with the counts behind the mean of a row's user or item."""


def with_counts(rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions) -> ir.Table:
    """Adds what the means and the history of each row are made of, all int64, as far as the spec has them.

    :data:`COUNTS`: behind the two means. :data:`LIKED`: how many of the user's positives the row may know, the first
    ones in time.

    Args:
        rows: every row, with its part, time, label and the ids of user and item; counts that
            :func:`with_whole_counts` added stay as they are.
        spec: names of the ids.
        options: the state, and whether the `target_mean` leak is on.
    """
    counted = rows[PART] == TRAIN if options.state == "frozen" else ibis.literal(True)
    counted &= rows[LABEL].notnull()
    rows = rows.mutate(_is_test=rows[PART] == TEST, _one=counted.cast("int64"))
    rows = rows.mutate(_positive=rows["_one"] * rows[LABEL].fill_null(0))
    columns = {LIKED: _before(rows, "_positive", spec.user_id)} if spec.liked else {}
    for side, key in _averaged(spec):
        count, positives = COUNTS[side]
        if count in rows.columns:
            continue
        if "target_mean" in options.leaks:
            whole = ibis.window(group_by=[rows[key], rows["_is_test"]])
            columns[count] = rows[LABEL].count().over(whole)
            columns[positives] = _positives(rows).over(whole)
        else:
            columns[count] = _before(rows, "_one", key)
            columns[positives] = _before(rows, "_positive", key)
    columns = {name: column.cast("int64") for name, column in columns.items()}
    return rows.mutate(**columns).drop("_is_test", "_one", "_positive")


def _averaged(spec: FeatureSpec) -> list[tuple[str, str]]:
    """The sides that have a mean label, with their ids."""
    means = (("user", spec.user_id, spec.user_mean), ("item", spec.item_id, spec.item_mean))
    return [(side, key) for side, key, mean in means if mean]


def with_whole_counts(rows: ir.Table, spec: FeatureSpec) -> ir.Table:
    """Adds the counts behind the two means over all rows, whatever their part: the `target_mean` leak of some data."""
    columns = {}
    for side, key in _averaged(spec):
        whole = ibis.window(group_by=rows[key])
        count, positives = COUNTS[side]
        columns[count] = rows[LABEL].count().over(whole).cast("int64")
        columns[positives] = _positives(rows).over(whole).cast("int64")
    return rows.mutate(**columns)


def _positives(rows: ir.Table) -> ir.IntegerScalar:
    return rows[LABEL].fill_null(0).cast("int64").sum()


def _before(rows: ir.Table, column: str, key: str) -> ir.IntegerColumn:
    """Sum of a column over the rows with the same key and a timestamp at least 1 s smaller."""
    window = ibis.range_window(preceding=(None, 1), group_by=key, order_by=TIMESTAMP)
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
    """The item's :data:`COUNTS` after the last row, by item: what a catalogue has to hold.

    State online: after all rows. Frozen: after all training rows. `target_mean` leak: the counts that
    training and validation rows were given.
    """
    count, positives = COUNTS["item"]
    if count in rows.columns:
        return rows.group_by(item).agg(**{name: rows[name].max() for name in (count, positives)})
    if "target_mean" in options.leaks:
        rows = rows.filter(rows[PART] != TEST)
    elif options.state == "frozen":
        rows = rows.filter(rows[PART] == TRAIN)
    return rows.group_by(item).agg(**{count: rows[LABEL].count(), positives: _positives(rows)})


def with_history(rows: ir.Table, options: ResolvedOptions, index: str, name: str) -> tuple[ir.Table, Sequences]:
    """What the history is cut out of: item indices of the user's positives, oldest first, at most `max_history`.

    Positives at the same time are in the order of the raw file. A row knows those that :func:`with_counts` counted
    as :data:`LIKED`; with the `history` leak all of the user's positives among the test rows, or among the others, the
    row itself included.

    Args:
        rows: every row, with the columns of :func:`with_counts` and the number of its user.
        options: the state, the length, and whether the leak is on.
        index: int32 column of `rows` with the item's index.
        name: name of the history.

    Returns:
        The rows with the columns of the sequences, and the sequences.
    """
    number, end = SEQUENCE.format(_LIKED_SEQUENCE), END.format(_LIKED_SEQUENCE)
    leak = "history" in options.leaks
    of_part = rows[USER] * 2 + (rows[PART] == TEST).cast("int32") if leak else rows[USER]
    known = ibis.literal(EVERYTHING) if leak else rows[LIKED]
    rows = rows.mutate(**{number: of_part.cast("int32"), end: known.cast("int32")})
    positives = rows.filter(rows[LABEL] == 1)
    if options.state == "frozen" and not leak:
        positives = positives.filter(positives[PART] == TRAIN)
    entries = positives.select(number, TIMESTAMP, ROW, positives[index].name(name))
    return rows, Sequences(_LIKED_SEQUENCE, entries, (TIMESTAMP, ROW), (name,), options.max_history)


def of_training_time(behaviours: ir.Table, rows: ir.Table, spec: FeatureSpec, everything: bool) -> ir.Table:
    """The behaviours of users with a row; `_known` says which of them a training row of the user may know.

    Those are the ones before the user's last training row; with `everything`, all.
    """
    user = spec.user_id
    ends = rows.group_by(user).agg(_end=rows[TIMESTAMP].max(where=rows[PART] == TRAIN))
    joined = behaviours.join(ends, user)
    known = ibis.literal(True) if everything else (joined[TIMESTAMP] < joined["_end"]).fill_null(False)
    return only(joined, *behaviours.columns, _known=known)


def with_behaviours(
    engine: Engine, rows: ir.Table, log: ir.Table, spec: FeatureSpec, options: ResolvedOptions
) -> tuple[ir.Table, Sequences]:
    """What the sequences in `spec.behaviours` are cut out of.

    A row's sequences are the last `max_history` behaviours of its user strictly before its time, oldest first (those of
    one time in the order of the log's numbers), and with state frozen none after the last training row. Place k of each
    sequence is the same behaviour; a value that it lacks is :data:`features.MISSING` there. No leak touches them: a
    behaviour has no label.

    Args:
        engine: keeps what comes between.
        rows: every row, kept, with its number, part, time and the number of its user.
        log: behaviours of users of `rows`: the number of the user, their time and number, and the indices.
        spec: names of the fields.
        options: the state and the length.

    Returns:
        The rows with the columns of the sequences, kept, and the sequences.
    """
    number, end = SEQUENCE.format(_LOGGED), END.format(_LOGGED)
    if options.state == "frozen":
        training = rows.filter(rows[PART] == TRAIN)
        joined = log.cross_join(training.agg(_last=training[TIMESTAMP].max()))
        log = joined.filter(joined[TIMESTAMP] <= joined["_last"]).drop("_last")
    places = _placed(_merged(rows, log))
    asked = places.filter(~places["_is_logged"])
    ends = engine.save(only(asked, _of_row=asked[ROW], **{end: asked["_place"]}))
    joined = rows.join(ends, rows[ROW] == ends["_of_row"]).drop("_of_row")
    joined = engine.save(joined.mutate(**{number: joined[USER]}))
    fields = [log[INDEX.format(name)].name(name) for name in spec.behaviours]
    entries = log.select(TIMESTAMP, ROW, log[USER].name(number), *fields)
    return joined, Sequences(_LOGGED, entries, (TIMESTAMP, ROW), spec.behaviours, options.max_history)


def _merged(rows: ir.Table, log: ir.Table) -> ir.Table:
    """Rows and behaviours as one table; `_is_logged` says which line is which."""
    asked = only(rows, USER, TIMESTAMP, ROW, _is_logged=ibis.literal(False))
    return asked.union(only(log, USER, TIMESTAMP, ROW, _is_logged=ibis.literal(True)))


def _placed(merged: ir.Table) -> ir.Table:
    """Adds `_place`: how many behaviours of the user are strictly before a row.

    At the same time rows come first, so that they do not count the behaviours of that time.
    """
    logged = merged["_is_logged"]
    order = [merged[TIMESTAMP], logged.cast("int8"), merged[ROW]]
    so_far = ibis.cumulative_window(group_by=merged[USER], order_by=order)
    return merged.mutate(_place=logged.cast("int64").sum().over(so_far).cast("int32"))
