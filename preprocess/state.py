"""As-of state: what was known of a row's user and item when the row happened (protocol, strict, 3).

All of it is counts of rows and of positives, so integers; the means are made from them at the end.
An as-of count is a window over the rows strictly before the row's timestamp: rows at the same time,
the row itself among them, are outside the frame.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.options import ResolvedOptions
from preprocess.splits import TEST, TRAIN
from preprocess.vocabulary import INDEX, no_indices

PRIOR_ROWS = 5
"""Rows at the training mean label that every mean starts from."""


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


def with_history(rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions, index: str, name: str) -> ir.Table:
    """Adds the history: item indices of the most recent positives, oldest first, at most `max_history`.

    Each user's positives are collected once, in time order (ties in the order of the raw file); a row's
    history is a slice of that array, so memory grows with the rows, not with rows times history.

    Args:
        rows: every row, with the columns of :func:`with_counts`.
        spec: names of the ids.
        options: the state, the length, and whether the `history` leak is on: then the slice is of all of the
            user's positives among the test rows, or among the others, the row itself included.
        index: int32 column of `rows` with the item's index.
        name: name of the new column.
    """
    leak = "history" in options.leaks
    rows = rows.mutate(piece=(rows.part == TEST).cast("int8") if leak else ibis.literal(0, "int8"))
    positives = rows.filter(rows.label == 1)
    if options.state == "frozen" and not leak:
        positives = positives.filter(positives.part == TRAIN)
    arrays = positives.group_by([spec.user_id, "piece"]).agg(
        all_liked=positives[index].collect(order_by=[positives.timestamp, positives.row])
    )
    joined = rows.left_join(arrays, [spec.user_id, "piece"])
    array = ibis.coalesce(joined.all_liked, no_indices())
    end = array.length() if leak else joined.liked
    history = array[ibis.greatest(end - options.max_history, 0) : end]
    return joined.select(*(column for column in rows.columns if column != "piece"), **{name: history})


def training_end(rows: ir.Table, user: str) -> ir.Table:
    """The time `end` of each user's last training row."""
    training = rows.filter(rows.part == TRAIN)
    return training.group_by(user).agg(end=training.timestamp.max())


def with_behaviours(rows: ir.Table, log: ir.Table, spec: FeatureSpec, options: ResolvedOptions) -> ir.Table:
    """Adds the indices of each sequence in `spec.behaviours`, named after :data:`preprocess.vocabulary.INDEX`.

    A row's sequences are the last `max_history` behaviours of its user strictly before its time, oldest first (those of
    one time in the order of the log's `row`), and with state frozen none after the last training row. Place k of each
    sequence is the same behaviour; a value that it lacks is :data:`features.MISSING` there. No leak touches them: a
    behaviour has no label.

    As with the positives, each user's behaviours are collected once, and a row's sequence is a slice.

    Args:
        rows: every row, with `part`, `timestamp` and the user's id.
        log: behaviours of users of `rows`: the user's id, `timestamp`, `row`, and the indices.
        spec: names of the fields.
        options: the state and the length.
    """
    user = spec.user_id
    if options.state == "frozen":
        end = rows.filter(rows.part == TRAIN).agg(last_training_time=lambda training: training.timestamp.max())
        log = log.cross_join(end).filter(lambda joined: joined.timestamp <= joined.last_training_time)
    order = [log.timestamp, log.row]
    names = [INDEX.format(name) for name in spec.behaviours]
    arrays = log.group_by(user).agg(**{f"all_{name}": log[name].collect(order_by=order) for name in names})
    joined = rows.left_join(_entries_before(rows, log, user), [user, "timestamp"]).left_join(arrays, user)
    end = joined.entries_before.fill_null(0)
    start = ibis.greatest(end - options.max_history, 0)
    slices = {name: ibis.coalesce(joined[f"all_{name}"], no_indices())[start:end] for name in names}
    return joined.select(*rows.columns, **slices)


def _entries_before(rows: ir.Table, log: ir.Table, user: str) -> ir.Table:
    """For each user and time of a row, how many entries of the log are strictly before: `entries_before`."""
    asked = rows.select(user, "timestamp", entries=ibis.literal(0, "int64"))
    logged = log.select(user, "timestamp", entries=ibis.literal(1, "int64"))
    both = asked.union(logged)
    moments = both.group_by([user, "timestamp"]).agg(entries=both.entries.sum())
    return moments.select(user, "timestamp", entries_before=_before(moments, "entries", user).cast("int64"))
