"""What one day's preparation leaves for the next: counts, ends of histories, and vocabularies, in a folder `state/`.

`state.json` is written last and names the other files with their SHA-256. All of them hold raw values:

    users.parquet, items.parquet   an id with its labelled rows, its positives, and the time of its last row
    liked.parquet                  the last positives of each user, oldest first, if the history is made of them
    behaviours.parquet             the last behaviours of each user, oldest first, if there is a log of them
    vocabularies/NAME.parquet      a value with its training rows, and the end of the last data that had one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import ibis.expr.types as ir
import pyarrow.parquet as pq
from pydantic import Field as Option
from pydantic import with_config
from typing_extensions import TypedDict

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.names import INDEX, PART, ROW, TIMESTAMP, USER, only, renamed
from preprocess.options import ResolvedOptions
from preprocess.sequences import Sequences
from preprocess.splits import TRAIN
from preprocess.state import COUNTS, LIKED
from preprocess.vocabulary import Growth, Vocabulary, with_index
from prerank import reading
from prerank.digests import entry
from prerank.errors import InputError

FOLDER, FILE = "state", "state.json"
FORMAT_VERSION = 1
FLAG = "--state_from"
_DAY = 86_400
_BEFORE = 1 << 40
"""Entries of an earlier state get numbers below 0, so that they come before the rows of the data."""
SIDES = ("user", "item")
LAST, PLACE = "last", "place"


@with_config(reading.RECORD)
class Described(TypedDict):
    """What `state.json` holds."""

    format_version: int
    dataset: reading.Name
    fields: dict[str, str]
    rows: Annotated[int, Option(ge=0)]
    positives: Annotated[int, Option(ge=0)]
    until: int
    behaviours_until: int | None
    hashed: dict[reading.Name, int]
    files: dict[str, str]


@dataclass(frozen=True)
class StateFiles:
    """A saved state on disk, whole and undamaged.

    Attributes:
        path: the folder.
        entry: size and SHA-256 of `state.json`, and so of all that it names.
        described: what it holds.
    """

    path: Path
    entry: dict[str, Any]
    described: dict[str, Any]

    @classmethod
    def open(cls, place: Path) -> StateFiles:
        """The state that lies in prepared data, or in a folder of its own.

        Raises:
            InputError: there is none, or it is of another format version or damaged.
        """
        folder = place / FOLDER if (place / FOLDER / FILE).is_file() else place
        file = folder / FILE
        if not file.is_file():
            raise InputError(
                f"{FLAG}: expected data that were prepared with --save_state: no {FOLDER}/{FILE}", path=place
            )
        found = reading.read_json(file, most=reading.MOST_BYTES_OF_FIELDS)
        version = found.get("format_version") if isinstance(found, dict) else None
        if version != FORMAT_VERSION:
            raise InputError(f"{FLAG}: format version {FORMAT_VERSION} expected. Received: {version!r}", path=file)
        described = reading.read_record(file, Described, most=reading.MOST_BYTES_OF_FIELDS)
        for name, digest in described["files"].items():
            path = folder / name
            if not path.is_file() or entry(path)["sha256"] != digest:
                raise InputError(f"{FLAG}: missing or damaged", path=path)
        return cls(folder, entry(file), dict(described))


@dataclass(frozen=True)
class EarlierState:
    """A saved state as tables of an engine, less what is forgotten.

    Attributes:
        rows, positives: all labelled rows that it counts, and those with label 1.
        until: time of the last of its rows.
        behaviours_until: time of its last behaviour, or None.
        counts: by side, a table of the id, as `key`, `rows`, `positives` and `last`.
        liked: `key`, `place`, the time and `item` of each entry; or None.
        behaviours: `key`, `place`, the time, and a column for each sequence; or None.
        vocabularies: by name, a table of `value`, `weight` and `last`.
        hashed: buckets of the vocabularies that are hashed.
    """

    rows: int
    positives: int
    until: int
    behaviours_until: int | None
    counts: Mapping[str, ir.Table]
    liked: ir.Table | None
    behaviours: ir.Table | None
    vocabularies: Mapping[str, ir.Table]
    hashed: Mapping[str, int]

    @classmethod
    def load(
        cls, engine: Engine, files: StateFiles, rows: ir.Table, spec: FeatureSpec, options: ResolvedOptions
    ) -> EarlierState:
        """Read a state for rows that come after it.

        Args:
            engine: keeps the tables.
            files: what is read.
            rows: every row, with its part and time.
            spec: of the data set.
            options: after how many days without a training row something is forgotten.

        Raises:
            InputError: the state is of other fields, or the rows begin before its end.
        """
        described = files.described
        _check_fields(files, spec)
        times = engine.one(rows.agg(first=rows[TIMESTAMP].min(), last=rows[TIMESTAMP].max(where=rows[PART] == TRAIN)))
        if times["first"] <= described["until"]:
            raise InputError(
                f"{FLAG}: the state counts rows up to {_spelt(described['until'])}, and the data begin at "
                f"{_spelt(times['first'])}: expected later rows only",
                path=files.path,
            )
        horizon = None if options.forget_after is None else times["last"] - options.forget_after * _DAY

        def read(name: str) -> ir.Table | None:
            return _read(engine, files.path / name) if name in described["files"] else None

        def kept(table: ir.Table) -> ir.Table:
            return table if horizon is None else table.filter(table[LAST] >= horizon)

        def required(name: str) -> ir.Table:
            found = read(name)
            if found is None:
                raise InputError(f"{FLAG}: damaged: it names no {name}", path=files.path / FILE)
            return kept(found)

        counts = {side: required(f"{side}s.parquet") for side in SIDES}
        entries = {
            name: None if table is None else _of_known(table, counts["user"], horizon)
            for name in ("liked", "behaviours")
            for table in [read(f"{name}.parquet")]
        }
        names = [name for name in spec.tables if f"vocabularies/{name}.parquet" in described["files"]]
        return cls(
            described["rows"],
            described["positives"],
            described["until"],
            described["behaviours_until"],
            counts=counts,
            liked=entries["liked"],
            behaviours=entries["behaviours"],
            vocabularies={name: required(f"vocabularies/{name}.parquet") for name in names},
            hashed=described["hashed"],
        )

    def growth(self, until: int) -> Growth:
        """What the vocabularies of data that end at a time grow from."""
        return Growth(self.vocabularies, self.hashed, until)

    def with_counts(self, rows: ir.Table, spec: FeatureSpec) -> ir.Table:
        """The rows with what :func:`preprocess.state.with_counts` added, and what the state counts besides."""
        for side, key in (("user", spec.user_id), ("item", spec.item_id)):
            names = [name for name in COUNTS[side] if name in rows.columns]
            if names:
                known = self.counts[side].select(_key="key", _more_rows="rows", _more_positives="positives")
                rows = _added(rows, known, key, dict(zip(names, ("_more_rows", "_more_positives"), strict=True)))
        if spec.liked and self.liked is not None:
            known = self.liked.group_by("key").agg(_more=self.liked.count()).rename(_key="key")
            rows = _added(rows, known, spec.user_id, {LIKED: "_more"})
        return rows

    def with_current(self, counts: ir.Table, item: str) -> ir.Table:
        """The items' counts after the last row, and what the state counts besides, of every item of either."""
        names = COUNTS["item"]
        known = self.counts["item"]
        old = renamed(known, {item: known["key"], names[0]: known["rows"], names[1]: known["positives"]})
        both = only(counts, item, *names).union(old)
        return both.group_by(item).agg(**{name: both[name].sum().cast("int64") for name in names})

    def with_liked(
        self, liked: Sequences, numbers: ir.Table, spec: FeatureSpec, vocabularies: Mapping[str, Vocabulary]
    ) -> Sequences:
        """Histories that begin with the state's entries; `numbers` has the id and the number of each user."""
        if self.liked is None:
            return liked
        old = self.liked.join(numbers, self.liked["key"] == numbers[spec.user_id])
        old = old.mutate(**{ROW: numbered(old), spec.item_id: old["item"]})
        old = with_index(old, ROW, spec[spec.item_id], vocabularies)
        number = liked.columns[0]
        columns = {number: old[USER], TIMESTAMP: old[TIMESTAMP], ROW: old[ROW]}
        old = renamed(old, {**columns, liked.fields[0]: old[INDEX.format(spec.item_id)]})
        return replace(liked, entries=liked.entries.union(old.select(liked.entries.columns)))

    def with_behaviours(self, behaviours: ir.Table, spec: FeatureSpec) -> ir.Table:
        """A log whose users go on from the state's entries: those of the log that the state may hold are left out."""
        if self.behaviours is None:
            return behaviours
        new = behaviours.filter(behaviours[TIMESTAMP] > self.behaviours_until)
        old = self.behaviours.mutate(**{spec.user_id: self.behaviours["key"], ROW: numbered(self.behaviours)})
        return new.union(old.select(new.columns))


def numbered(entries: ir.Table) -> ir.IntegerColumn:
    """Numbers for the entries of a state, below those of all rows."""
    return (entries[PLACE] - _BEFORE).cast("int64")


def _added(rows: ir.Table, known: ir.Table, key: str, names: Mapping[str, str]) -> ir.Table:
    """The rows with numbers of `known`, a table by `_key`, added to columns; 0 where it has no line."""
    joined = rows.left_join(known, rows[key] == known["_key"])
    sums = {name: (joined[name] + joined[more].fill_null(0)).cast("int64") for name, more in names.items()}
    return renamed(joined, {name: sums.get(name, joined[name]) for name in rows.columns})


def _of_known(entries: ir.Table, users: ir.Table, horizon: int | None) -> ir.Table:
    """The entries of users that are not forgotten, and of others those that are not too old."""
    if horizon is None:
        return entries
    known = users.select(_key="key")
    joined = entries.left_join(known, entries["key"] == known["_key"])
    return only(joined.filter(joined["_key"].notnull() | (joined[TIMESTAMP] >= horizon)), *entries.columns)


def _read(engine: Engine, path: Path) -> ir.Table:
    file = pq.ParquetFile(path)
    return engine.load(file.schema_arrow, file.iter_batches())


def _spelt(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def fields_of(spec: FeatureSpec) -> dict[str, str]:
    """What a state depends on of the fields: the raw types of ids and of vocabularies, and what histories are."""
    found = {field.vocabulary: field.raw_type for field in spec.fields if field.vocabulary}
    found |= {f"the {side}'s id": spec[getattr(spec, f"{side}_id")].raw_type for side in SIDES}
    return found | {"the history": "earlier positives" if spec.liked else ",".join(spec.behaviours)}


def _check_fields(files: StateFiles, spec: FeatureSpec) -> None:
    before, now = files.described["fields"], fields_of(spec)
    if differing := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        name = differing[0]
        raise InputError(
            f"{FLAG}: the state is of other fields: {name}: {now.get(name)} expected. Received: {before.get(name)}",
            path=files.path,
        )
