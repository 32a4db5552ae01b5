"""Which part a row belongs to. The rules are those of the protocol, the arithmetic is of integers."""

from __future__ import annotations

import calendar
import datetime

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.hashing import RANGE, with_hash
from preprocess.names import LABEL, PART, REQUEST, SHUFFLE, TIMESTAMP, only
from preprocess.options import DEFAULT_SHARE, ResolvedOptions
from prerank.errors import InputError

PARTS = ("train", "validation", "test")
"""Names of the parts; the column `part` holds their places."""
TRAIN, VALIDATION, TEST = range(3)

_DAY = 86_400
_MILLION = 1_000_000
"""Shares are counted in millionths, so that their arithmetic is of integers."""
_SALT_SPLIT, _SALT_VALIDATION, _SALT_SAMPLE, _SALT_ORDER = 1, 2, 3, 401


def sample_users(rows: ir.Table, user: str, rate: float) -> ir.Table:
    """The rows of a share of the users, chosen by a hash of the user's id."""
    if rate >= 1:
        return rows
    hashed = with_hash(rows, "_sample", [user], _SALT_SAMPLE)
    return hashed.filter(hashed["_sample"] < int(rate * RANGE)).drop("_sample")


def with_request_time(rows: ir.Table) -> ir.Table:
    """Gives all rows of a request the time of its first one, as a request is answered at one moment.

    So no row knows the label of another row of its request, and no split cuts a request.
    """
    first = rows[TIMESTAMP].min().over(ibis.window(group_by=rows[REQUEST]))
    return rows.mutate(**{TIMESTAMP: first})


def with_order(rows: ir.Table, spec: FeatureSpec) -> ir.Table:
    """Adds :data:`SHUFFLE`: training rows are written in its order.

    It is a hash of the row's key (user, item, time), or of its request, so that the rows of a request stay together.
    """
    key = [REQUEST] if "request" in spec.row_columns else [spec.user_id, spec.item_id, TIMESTAMP]
    return with_hash(rows, SHUFFLE, key, _SALT_ORDER)


def with_part(
    engine: Engine, rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions, utc_offset: int | None = None
) -> ir.Table:
    """Adds :data:`PART` (int8): a place in :data:`PARTS`.

    Args:
        engine: finds the days there are.
        rows: every row, with its time, the id of the user, and :data:`SHUFFLE`.
        spec: names of the ids.
        options: names the split.
        utc_offset: `time` cuts by the days of this time zone, hours ahead of UTC; None: by shares of the rows.

    Raises:
        InputError: a cut by days, and there are fewer than 3 of them or one without a row.
    """
    if options.split == "none":
        return rows.mutate(**{PART: ibis.literal(TRAIN, "int8")})
    asked = options.test_share is not None or options.validation_share is not None
    test, validation = (
        round(_MILLION * (DEFAULT_SHARE if share is None else share))
        for share in (options.test_share, options.validation_share)
    )
    if options.test_from is not None:
        return _from_day(engine, rows, options.test_from, validation, utc_offset or 0)
    if options.split == "time" and utc_offset is not None and not asked:
        return _by_day(engine, rows, utc_offset)
    if options.split == "random":
        return _by_share(rows, test, validation) if asked else _random(rows, options.protocol == "reference")
    if options.split == "user_time":
        return _by_time(rows, spec.user_id, test, validation)
    return _by_time(rows.mutate(_everyone=ibis.literal(0, "int8")), "_everyone", test, validation).drop("_everyone")


def _from_day(engine: Engine, rows: ir.Table, day: str, validation: int, utc_offset: int) -> ir.Table:
    """All rows from a day on for test; of those before it, in time order, the last share for validation."""
    start = calendar.timegm(datetime.date.fromisoformat(day).timetuple()) - utc_offset * 3600
    before = rows.filter(rows[TIMESTAMP] < start)
    moments = before.group_by(TIMESTAMP).agg(_one=before.count())
    so_far = ibis.cumulative_window(order_by=moments[TIMESTAMP])
    ranked = only(
        moments,
        TIMESTAMP,
        _place=moments["_one"].sum().over(so_far).cast("int64"),
        _total=moments["_one"].sum().over(ibis.window()).cast("int64"),
    )
    late = ranked.filter(ranked["_place"] > ranked["_total"] - ranked["_total"] * validation // _MILLION)
    found = engine.column(late.agg(cut=late[TIMESTAMP].min()), "cut")
    if found[0] is None:
        raise InputError(f"--test_from {day}: there are too few rows before that day to validate on")
    time = rows[TIMESTAMP]
    part = ibis.cases((time >= start, TEST), (time >= int(found[0]), VALIDATION), else_=TRAIN)
    return rows.mutate(**{PART: part.cast("int8")})


def _by_share(rows: ir.Table, test: int, validation: int) -> ir.Table:
    """Shares, in millionths, by a hash of the row's key, or request."""
    hashed = with_hash(rows, "_first", [SHUFFLE], _SALT_SPLIT)
    place = hashed["_first"]
    edges = RANGE * test // _MILLION, RANGE * (test + validation) // _MILLION
    part = ibis.cases((place < edges[0], TEST), (place < edges[1], VALIDATION), else_=TRAIN)
    return only(hashed, *rows.columns, **{PART: part.cast("int8")})


def _by_time(rows: ir.Table, group: str, test: int, validation: int) -> ir.Table:
    """Of each group's rows in time order the last share for test, the share before for validation, in millionths.

    A cut is the timestamp of the first row of the later part; all rows that share it go there. So moments are ordered,
    of which there are fewer than rows: an engine may do that in one place.
    """
    moments = rows.group_by([group, TIMESTAMP]).agg(_one=rows.count())
    so_far = ibis.cumulative_window(group_by=moments[group], order_by=moments[TIMESTAMP])
    ranked = only(
        moments,
        group,
        TIMESTAMP,
        _place=moments["_one"].sum().over(so_far).cast("int64"),
        _total=moments["_one"].sum().over(group_by=moments[group]).cast("int64"),
    )
    of_test = ranked["_total"] * test // _MILLION
    of_both = of_test + ranked["_total"] * validation // _MILLION
    cuts = ranked.group_by(group).agg(
        _test=ranked[TIMESTAMP].min(where=ranked["_place"] > ranked["_total"] - of_test),
        _validation=ranked[TIMESTAMP].min(where=ranked["_place"] > ranked["_total"] - of_both),
    )
    cut = rows.join(cuts, group)
    time = cut[TIMESTAMP]
    part = ibis.cases((time >= cut["_test"], TEST), (time >= cut["_validation"], VALIDATION), else_=TRAIN)
    return only(cut, *rows.columns, **{PART: part.cast("int8")})


def _by_day(engine: Engine, rows: ir.Table, utc_offset: int) -> ir.Table:
    """The last day for test, the one before for validation."""
    day = _day(rows[TIMESTAMP], utc_offset)
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
    return rows.mutate(**{PART: part.cast("int8")})


def _day(timestamp: ir.IntegerColumn, utc_offset: int) -> ir.IntegerColumn:
    """Days since 1970, by integers only: `%` may be negative, as in C, and `/` is one of floats."""
    local = timestamp + utc_offset * 3600
    second = ((local % _DAY) + _DAY) % _DAY
    return ((local - second) / _DAY).cast("int64")


def _random(rows: ir.Table, reference: bool) -> ir.Table:
    """80/10/10 by a hash of the row's key, or request; for `reference` 80/20, and a fifth of the 80 to validate."""
    hashed = with_hash(with_hash(rows, "_first", [SHUFFLE], _SALT_SPLIT), "_second", [SHUFFLE], _SALT_VALIDATION)
    first, second = hashed["_first"], hashed["_second"]
    test, validation = (first % 5 == 4, second % 5 == 4) if reference else (first % 10 == 9, first % 10 == 8)
    part = ibis.cases((test, TEST), (validation, VALIDATION), else_=TRAIN)
    return only(hashed, *rows.columns, **{PART: part.cast("int8")})


def drop_users_without_positive(rows: ir.Table, user: str, by_part: bool) -> ir.Table:
    """The `user_filter` leak: a user with no positive among its test rows (or the others) loses those rows.

    Source: HIT's public code, which on MovieLens filters its training part (validation included) and its test part
    apart, and on Taobao drops users without any click, so the whole of the data is looked at unless `by_part`.
    """
    tested = rows.mutate(_is_test=(rows[PART] == TEST) & by_part)
    positives = tested[LABEL].fill_null(0).sum().over(group_by=[tested[user], tested["_is_test"]])
    marked = tested.mutate(_positives=positives)
    return marked.filter(marked["_positives"] > 0).drop("_is_test", "_positives")
