"""Which part a row belongs to. The rules are those of the protocol, the arithmetic is of integers."""

from __future__ import annotations

import datetime

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.hashing import RANGE, with_hash
from preprocess.options import ResolvedOptions
from prerank.errors import InputError

PARTS = ("train", "validation", "test")
"""Names of the parts; the column `part` holds their places."""
TRAIN, VALIDATION, TEST = range(3)

_DAY = 86_400
_SALT_SPLIT, _SALT_VALIDATION, _SALT_SAMPLE, _SALT_ORDER = 1, 2, 3, 401


def sample_users(rows: ir.Table, user: str, rate: float) -> ir.Table:
    """The rows of a share of the users, chosen by a hash of the user's id."""
    if rate >= 1:
        return rows
    hashed = with_hash(rows, "sample", [user], _SALT_SAMPLE)
    return hashed.filter(hashed["sample"] < int(rate * RANGE)).drop("sample")


def with_order(rows: ir.Table, spec: FeatureSpec) -> ir.Table:
    """Adds `shuffle`, a hash of the row's key (user, item, timestamp): training rows are written in its order."""
    return with_hash(rows, "shuffle", [spec.user_id, spec.item_id, "timestamp"], _SALT_ORDER)


def with_part(
    engine: Engine, rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions, utc_offset: int | None = None
) -> ir.Table:
    """Adds `part` (int8): a place in :data:`PARTS`.

    Args:
        engine: finds the days there are.
        rows: every row, with `timestamp`, the id of the user, and `shuffle`.
        spec: names of the ids.
        options: names the split.
        utc_offset: `time` cuts by the days of this time zone, hours ahead of UTC; None: by shares of the rows.

    Raises:
        InputError: a cut by days, and there are fewer than 3 of them or one without a row.
    """
    if options.split == "time" and utc_offset is not None:
        return _by_day(engine, rows, utc_offset)
    if options.split == "random":
        return _random(rows, options.protocol == "reference")
    if options.split == "user_time":
        return _by_time(rows, spec.user_id)
    return _by_time(rows.mutate(everyone=ibis.literal(0, "int8")), "everyone").drop("everyone")


def _by_time(rows: ir.Table, group: str) -> ir.Table:
    """Of each group's n rows in time order the last n // 10 for test, the n // 10 before for validation.

    A cut is the timestamp of the first row of the later part; all rows that share it go there. So moments are ordered,
    of which there are fewer than rows: an engine may do that in one place.
    """
    moments = rows.group_by([group, "timestamp"]).agg(one=rows.count())
    so_far = ibis.cumulative_window(group_by=moments[group], order_by=moments.timestamp)
    ranked = moments.select(
        group,
        "timestamp",
        place=moments.one.sum().over(so_far).cast("int64"),
        total=moments.one.sum().over(group_by=moments[group]).cast("int64"),
    )
    tenth = ranked.total // 10
    cuts = ranked.group_by(group).agg(
        test_cut=ranked.timestamp.min(where=ranked.place > ranked.total - tenth),
        validation_cut=ranked.timestamp.min(where=ranked.place > ranked.total - 2 * tenth),
    )
    cut = rows.join(cuts, group)
    part = ibis.cases(
        (cut.timestamp >= cut.test_cut, TEST), (cut.timestamp >= cut.validation_cut, VALIDATION), else_=TRAIN
    )
    return cut.select(*rows.columns, part=part.cast("int8"))


def _by_day(engine: Engine, rows: ir.Table, utc_offset: int) -> ir.Table:
    """The last day for test, the one before for validation."""
    day = _day(rows.timestamp, utc_offset)
    days = engine.column(rows.select(day=day).distinct().order_by("day"), "day")
    named = [(datetime.date(1970, 1, 1) + datetime.timedelta(days=number)).isoformat() for number in days]
    zone = f"days of UTC{utc_offset:+}"
    if len(days) < len(PARTS):
        message = f"--split time needs at least {len(PARTS)} days ({zone}). Received: {', '.join(named) or 'none'}"
        raise InputError(message)
    for before, after, name in zip(days, days[1:], named, strict=False):
        if after != before + 1:
            empty = (datetime.date.fromisoformat(name) + datetime.timedelta(days=1)).isoformat()
            raise InputError(
                f"--split time: there is no row on {empty} ({zone}), but before it and up to {named[-1]}; "
                "drop the stray rows, or take --split random"
            )
    part = ibis.cases((day == days[-1], TEST), (day == days[-2], VALIDATION), else_=TRAIN)
    return rows.mutate(part=part.cast("int8"))


def _day(timestamp: ir.IntegerColumn, utc_offset: int) -> ir.IntegerColumn:
    """Days since 1970, by integers alone: `%` may be negative, as in C, and `/` is one of floats."""
    local = timestamp + utc_offset * 3600
    second = ((local % _DAY) + _DAY) % _DAY
    return ((local - second) / _DAY).cast("int64")


def _random(rows: ir.Table, reference: bool) -> ir.Table:
    """80/10/10 by a hash of the row's key; for `reference` 80/20 and a random fifth of the 80 as validation."""
    hashed = with_hash(with_hash(rows, "first", ["shuffle"], _SALT_SPLIT), "second", ["shuffle"], _SALT_VALIDATION)
    if reference:
        test, validation = hashed.first % 5 == 4, hashed.second % 5 == 4
    else:
        test, validation = hashed.first % 10 == 9, hashed.first % 10 == 8
    part = ibis.cases((test, TEST), (validation, VALIDATION), else_=TRAIN)
    return hashed.select(*rows.columns, part=part.cast("int8"))


def drop_users_without_positive(rows: ir.Table, user: str, by_part: bool) -> ir.Table:
    """The `user_filter` leak: a user with no positive among its test rows (or the others) loses those rows.

    Source: HIT's public code, which on MovieLens filters its training part (validation included) and its test part
    apart, and on Taobao drops users without any click, so the whole of the data is looked at unless `by_part`.
    """
    tested = rows.mutate(is_test=(rows.part == TEST) & by_part)
    positives = tested.label.sum().over(group_by=[tested[user], tested.is_test])
    marked = tested.mutate(positives=positives)
    return marked.filter(marked.positives > 0).drop("is_test", "positives")
