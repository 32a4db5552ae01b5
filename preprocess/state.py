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
from preprocess.vocabulary import no_indices

PRIOR_ROWS = 5
"""Rows at the training mean label that every mean starts from."""


def with_counts(rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions) -> ir.Table:
    """Adds what the means and the history of each row are made of, all int64.

    `user_rows`, `user_positives`, `item_rows`, `item_positives`: counts behind the two means.
    `liked`: how many of the user's positives the row may know, the first ones in time.

    Args:
        rows: every row, with `part`, `timestamp`, `label` and the ids of user and item.
        spec: names of the ids.
        options: the state, and whether the `target_mean` leak is on.
    """
    counted = rows.part == TRAIN if options.state == "frozen" else ibis.literal(True)
    rows = rows.mutate(is_test=rows.part == TEST, one=counted.cast("int64"))
    rows = rows.mutate(positive=rows.one * rows.label)
    columns = {"liked": _before(rows, "positive", spec.user_id)}
    for side, key in (("user", spec.user_id), ("item", spec.item_id)):
        if "target_mean" in options.leaks:
            whole = ibis.window(group_by=[rows[key], rows.is_test])
            columns[f"{side}_rows"] = rows.count().over(whole)
            columns[f"{side}_positives"] = rows.label.cast("int64").sum().over(whole)
        else:
            columns[f"{side}_rows"] = _before(rows, "one", key)
            columns[f"{side}_positives"] = _before(rows, "positive", key)
    columns = {name: column.cast("int64") for name, column in columns.items()}
    return rows.mutate(**columns).drop("is_test", "one", "positive")


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
