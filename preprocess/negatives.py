"""Negatives for data that hold positives only (`--negatives`)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.hashing import with_hash
from preprocess.names import LABEL, ROW, STAGE, TEACHER, TIMESTAMP, further_labels, only, renamed

_SALT = 701


def with_negatives(engine: Engine, rows: ir.Table, spec: FeatureSpec, number: int) -> ir.Table:
    """Adds to each positive up to `number` rows with label 0: the same user, time and context, another item.

    Items are drawn uniformly from those alive at the positive's time, that is with a row at that time or before, by a
    hash of the positive's key. Those that the user has a row with, at any time, are passed over, so none is a
    positive of the user. They belong to the positive's request and have its weight; they passed no stage (0), and no
    teacher has scored them. There are 2 * `number` + 8 draws: a positive gets fewer negatives where those hit fewer
    other items, as at the very beginning of the data.

    Rows are numbered anew: a number n becomes n * (`number` + 1), plus 1, 2, ... for the negatives.

    Args:
        engine: keeps tables.
        rows: every row, with its number, time, label and ids.
        spec: names of the ids.
        number: how many for each positive, at least 1.
    """
    positives = rows.filter(rows[LABEL] == 1)
    # kept: Spark takes minutes to plan joins on a hash that is still to be computed
    drawn = engine.save(_drawn(positives, _alive(rows, spec.item_id), spec, 2 * number + 8))
    items = _arrivals(rows, spec.item_id).select("_place", _drawn=spec.item_id)
    own = rows.select(_own_user=spec.user_id, _own_item=spec.item_id).distinct()
    found = drawn.join(items, "_place")
    found = found.anti_join(own, [found[spec.user_id] == own["_own_user"], found["_drawn"] == own["_own_item"]])
    first = found.group_by([ROW, "_drawn"]).agg(_draw=found["_draw"].min())
    ranked = first.mutate(_rank=ibis.row_number().over(group_by=first[ROW], order_by=first["_draw"]))
    chosen = engine.save(ranked.filter(ranked["_rank"] < number).select(ROW, "_drawn", "_rank"))
    negatives = positives.join(chosen, ROW)
    changed = {
        spec.item_id: negatives["_drawn"],
        ROW: negatives[ROW] * (number + 1) + negatives["_rank"] + 1,
        LABEL: ibis.literal(0),
        STAGE: ibis.literal(0),
        TEACHER: ibis.null("float64"),
        **{name: ibis.literal(0) for name in further_labels(spec)},
    }
    negatives = renamed(negatives, {name: changed.get(name, negatives[name]) for name in rows.columns})
    numbered = rows.mutate(**{ROW: rows[ROW] * (number + 1)})
    return engine.save(numbered.union(negatives.cast(rows.schema())))


def _arrivals(rows: ir.Table, item: str) -> ir.Table:
    """Every item with its first time and its place, from 0, in the order of first times."""
    first = rows.group_by(item).agg(_first=rows[TIMESTAMP].min())
    return first.mutate(_place=ibis.row_number().over(order_by=[first["_first"], first[item]]))


def _alive(rows: ir.Table, item: str) -> ir.Table:
    """For each time of a row, how many items are `_alive`: those at the places below that number."""
    arrivals = _arrivals(rows, item)
    first = arrivals.group_by(**{TIMESTAMP: arrivals["_first"]}).agg(_new=arrivals.count())
    times = rows.select(TIMESTAMP).distinct().left_join(first, TIMESTAMP)
    times = only(times, TIMESTAMP, _new=times["_new"].fill_null(0))
    so_far = ibis.cumulative_window(order_by=times[TIMESTAMP])
    return only(times, TIMESTAMP, _alive=times["_new"].sum().over(so_far))


def _drawn(positives: ir.Table, alive: ir.Table, spec: FeatureSpec, draws: int) -> ir.Table:
    """`draws` lines a positive: its number and user, the number of the `_draw`, and the `_place` of the item drawn."""
    keyed = only(positives.join(alive, TIMESTAMP), ROW, spec.user_id, spec.item_id, TIMESTAMP, "_alive")
    each = keyed.mutate(_draw=ibis.range(0, draws)).unnest("_draw")
    hashed = with_hash(each, "_place", [spec.user_id, spec.item_id, TIMESTAMP, "_draw"], _SALT)
    return only(hashed, ROW, spec.user_id, "_draw", _place=hashed["_place"] % hashed["_alive"])
