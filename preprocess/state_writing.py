"""Writes what later data go on from; :mod:`preprocess.saved_state` says what it is, and reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.dataset import RawData
from preprocess.engines import Engine
from preprocess.names import LABEL, PART, ROW, TIMESTAMP, only
from preprocess.options import ResolvedOptions
from preprocess.saved_state import FILE, FORMAT_VERSION, LAST, PLACE, SIDES, EarlierState, fields_of, numbered
from preprocess.splits import TEST
from preprocess.vocabulary import Vocabulary
from prerank.digests import entry


@dataclass(frozen=True)
class Saved:
    """What is to be written.

    Attributes:
        tables: by file name.
        described: `state.json`, less `files`.
    """

    tables: Mapping[str, ir.Table]
    described: dict[str, Any]

    def write(self, folder: Path, write_table: Callable[[ir.Table, Path], None]) -> None:
        """Write the folder; `write_table` writes a table to a file."""
        (folder / "vocabularies").mkdir(parents=True)
        for name, table in self.tables.items():
            write_table(table, folder / name)
        digests = {name: entry(folder / name)["sha256"] for name in self.tables}
        (folder / FILE).write_text(json.dumps(self.described | {"files": digests}, indent=1), "utf-8")


def saved(
    engine: Engine,
    raw: RawData,
    rows: ir.Table,
    spec: FeatureSpec,
    options: ResolvedOptions,
    vocabularies: Mapping[str, Vocabulary],
    earlier: EarlierState | None,
) -> Saved | None:
    """The state after the rows, for the next data to go on from; None if none is asked for.

    Args:
        engine: computes it.
        raw: the data set.
        rows: every row, with its part, time, label and ids.
        spec: of the data set.
        options: which rows are counted, and how many entries a history has.
        vocabularies: of the data, with what they counted.
        earlier: what the data went on from.
    """
    if options.save_state == "none":
        return None
    counted = rows if options.save_state == "all" else rows.filter(rows[PART] != TEST)
    tests = engine.one(rows.agg(first=rows[TIMESTAMP].min(where=rows[PART] == TEST)))["first"]
    labelled = counted[LABEL].count()
    positives = counted[LABEL].fill_null(0).cast("int64").sum()
    totals = engine.one(counted.agg(rows=labelled, positives=positives, until=counted[TIMESTAMP].max()))
    described: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "dataset": spec.dataset,
        "fields": fields_of(spec),
        "rows": totals["rows"] + (earlier.rows if earlier else 0),
        "positives": totals["positives"] + (earlier.positives if earlier else 0),
        "until": totals["until"],
        "behaviours_until": None,
        "hashed": {name: known.buckets for name, known in vocabularies.items() if known.buckets},
    }
    tables = {f"{side}s.parquet": _counts(counted, spec, side, earlier) for side in SIDES}
    if spec.liked:
        liked = counted.filter(counted[LABEL] == 1)
        new = only(liked, TIMESTAMP, ROW, key=liked[spec.user_id], item=liked[spec.item_id])
        old = None if earlier is None or earlier.liked is None else _renumbered(earlier.liked)
        tables["liked.parquet"] = _last_entries(new, old, ["item"], options.max_history)
    if raw.behaviours is not None:
        log = (
            raw.behaviours if options.save_state == "all" else raw.behaviours.filter(raw.behaviours[TIMESTAMP] < tests)
        )
        until = engine.one(log.agg(until=log[TIMESTAMP].max()))["until"]
        described["behaviours_until"] = max(
            [*filter(None, (until, earlier and earlier.behaviours_until))], default=None
        )
        new = only(log, TIMESTAMP, ROW, key=log[spec.user_id], **{name: log[name] for name in spec.behaviours})
        tables["behaviours.parquet"] = _last_entries(new, None, list(spec.behaviours), options.max_history)
    for name, known in vocabularies.items():
        if known.counted is not None:
            tables[f"vocabularies/{name}.parquet"] = known.counted.order_by("value")
    return Saved(tables, described)


def _counts(rows: ir.Table, spec: FeatureSpec, side: str, earlier: EarlierState | None) -> ir.Table:
    key = spec.user_id if side == "user" else spec.item_id
    grouped = rows.group_by(key).agg(
        rows=rows[LABEL].count(),
        positives=rows[LABEL].fill_null(0).cast("int64").sum(),
        last=rows[TIMESTAMP].max(),
    )
    new = only(grouped, "rows", "positives", LAST, key=grouped[key])
    both = new if earlier is None else new.union(earlier.counts[side].select(new.columns))
    sums = both.group_by("key").agg(
        rows=both["rows"].sum().cast("int64"), positives=both["positives"].sum().cast("int64"), last=both[LAST].max()
    )
    return sums.order_by("key")


def _renumbered(entries: ir.Table) -> ir.Table:
    return entries.mutate(**{ROW: numbered(entries)}).drop(PLACE)


def _last_entries(new: ir.Table, old: ir.Table | None, fields: list[str], length: int) -> ir.Table:
    """The last entries of each key, with their places, oldest first, from 0."""
    every = new if old is None else new.union(old.select(new.columns))
    from_end = ibis.row_number().over(group_by=every["key"], order_by=[every[TIMESTAMP].desc(), every[ROW].desc()])
    ended = every.mutate(_end=from_end)
    last = ended.filter(ended["_end"] < length)
    place = ibis.row_number().over(group_by=last["key"], order_by=[last[TIMESTAMP], last[ROW]])
    return only(last.mutate(**{PLACE: place.cast("int64")}), "key", PLACE, TIMESTAMP, *fields).order_by(["key", PLACE])
