"""Negatives for data that hold positives alone (`--negatives`)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.hashing import with_hash

_SALT = 701


def with_negatives(engine: Engine, rows: ir.Table, spec: FeatureSpec, number: int) -> ir.Table:
    """Adds to each positive up to `number` rows with label 0: the same user, time and context, another item.

    Items are drawn uniformly from those alive at the positive's time, that is with a row at that time or before, by a
    hash of the positive's key. Those that the user has a row with, at any time, are passed over, so none is a
    positive of the user. There are 2 * `number` + 8 draws: a positive gets fewer negatives where those hit fewer
    other items, as at the very beginning of the data.

    Rows are numbered anew: `row` becomes `row` * (`number` + 1), plus 1, 2, ... for the negatives.

    Args:
        engine: keeps tables.
        rows: every row, with `row`, `timestamp`, `label` and the ids.
        spec: names of the ids.
        number: how many for each positive, at least 1.
    """
    positives = rows.filter(rows.label == 1)
    # kept: Spark takes minutes to plan joins on a hash that is still to be computed
    drawn = engine.save(_drawn(positives, _alive(rows, spec.item_id), spec, 2 * number + 8))
    items = _arrivals(rows, spec.item_id).select("place", drawn_item=spec.item_id)
    own = rows.select(own_user=spec.user_id, own_item=spec.item_id).distinct()
    found = drawn.join(items, "place")
    found = found.anti_join(own, [found[spec.user_id] == own.own_user, found.drawn_item == own.own_item])
    first = found.group_by(["row", "drawn_item"]).agg(draw=found.draw.min())
    ranked = first.mutate(rank=ibis.row_number().over(group_by=first.row, order_by=first.draw))
    chosen = engine.save(ranked.filter(ranked["rank"] < number).select("row", "drawn_item", "rank"))
    negatives = positives.join(chosen, "row")
    changed = {
        spec.item_id: negatives.drawn_item,
        "row": negatives.row * (number + 1) + negatives["rank"] + 1,
        "label": ibis.literal(0),
    }
    negatives = negatives.select(**{name: changed.get(name, negatives[name]) for name in rows.columns})
    return engine.save(rows.mutate(row=rows.row * (number + 1)).union(negatives.cast(rows.schema())))


def _arrivals(rows: ir.Table, item: str) -> ir.Table:
    """Every item with its first time and its place, from 0, in the order of first times."""
    first = rows.group_by(item).agg(first=rows.timestamp.min())
    return first.mutate(place=ibis.row_number().over(order_by=[first["first"], first[item]]))


def _alive(rows: ir.Table, item: str) -> ir.Table:
    """For each `timestamp` of a row, how many items are `alive`: those at the places below that number."""
    arrivals = _arrivals(rows, item)
    first = arrivals.group_by(timestamp=arrivals["first"]).agg(new=arrivals.count())
    times = rows.select("timestamp").distinct().left_join(first, "timestamp")
    times = times.select("timestamp", new=times.new.fill_null(0))
    return times.select("timestamp", alive=times.new.sum().over(ibis.cumulative_window(order_by=times.timestamp)))


def _drawn(positives: ir.Table, alive: ir.Table, spec: FeatureSpec, draws: int) -> ir.Table:
    """`draws` lines a positive: its `row` and user, the number of the `draw`, and the `place` of the item drawn."""
    keyed = positives.join(alive, "timestamp").select("row", spec.user_id, spec.item_id, "timestamp", "alive")
    each = keyed.mutate(draw=ibis.range(0, draws)).unnest("draw")
    hashed = with_hash(each, "place", [spec.user_id, spec.item_id, "timestamp", "draw"], _SALT)
    return hashed.select("row", spec.user_id, "draw", place=hashed.place % hashed.alive)
