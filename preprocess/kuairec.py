"""KuaiRec (Zenodo 18164998): what users of a video app watched, in a small matrix of all pairs and a big, sparse one.

The folder, or `data` in it, has `small_matrix.csv` or `big_matrix.csv`, `user_features.csv`, `item_categories.csv` and,
if wanted, `item_daily_features.csv`. The label is whether a user watched a video at least twice (`watch_ratio` of 2 or
more), as in the data set's paper; other work takes 1 or 0.5. Rows have no request: a user met the videos of the small
matrix one by one. Rows whose time is not known are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import ibis.expr.types as ir

from features import FeatureSpec, Field
from preprocess.dataset import RawData, check_coverage
from preprocess.delimited import read
from preprocess.engines import Engine
from preprocess.names import LABEL, ROW, TIMESTAMP, only
from preprocess.options import ResolvedOptions
from preprocess.raw import Column, Layout, RawFile, RawTable
from prerank.errors import InputError
from prerank.values import EARLIEST, LATEST, short

Matrix = Literal["small", "big"]
PAPER = 2.0
"""The watch ratio from which the data set's paper takes a row for a positive."""
USER = (
    *("user_active_degree", "is_lowactive_period", "is_live_streamer", "is_video_author"),
    *("follow_user_num_range", "fans_user_num_range", "friend_user_num_range", "register_days_range"),
    *(f"onehot_feat{number}" for number in range(18)),
)
DAILY = ("author_id", "video_type", "upload_type", "music_id", "video_tag_id")
"""What `item_daily_features.csv` says of a video that does not change; its counts are not read, as they come later."""
_CATEGORIES = r"^\[(?:[0-9]{1,9}(?:, ?[0-9]{1,9})*)?\]$"
_OTHERS = {"users": "user_features.csv", "categories": "item_categories.csv"}
_DAILY_FILE = "item_daily_features.csv"


def _layout(*columns: Column) -> Layout:
    return Layout(columns, ",", header=True, quote='"', encoding="utf-8")


_LAYOUTS = {
    "rows": _layout(
        Column("user_id", "int", required=True),
        Column("video_id", "int", required=True),
        Column("video_duration", "number"),
        Column("timestamp", "label"),
        Column("watch_ratio", "label", required=True),
    ),
    "users": _layout(Column("user_id", "int", required=True), *(Column(name) for name in USER)),
    "categories": _layout(Column("video_id", "int", required=True), Column("feat", required=True)),
    "daily": _layout(Column("video_id", "int", required=True), *(Column(name) for name in DAILY)),
}


@dataclass(frozen=True)
class KuaiRec:
    """The adapter of KuaiRec's files (see :class:`preprocess.dataset.Adapter`).

    Attributes:
        matrix: which of the two.
        positive_from: a row is a positive from this watch ratio on. Another one gives a data set of another name.
    """

    matrix: Matrix = "small"
    positive_from: float = PAPER

    samples_version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        rule = (
            "" if self.positive_from == PAPER else f"_from_{self.positive_from!r}".replace(".", "_").replace("-", "_")
        )
        return f"kuairec_{self.matrix}{rule}"

    def find(self, data_path: Path) -> dict[str, Path]:
        """The raw files by role.

        Raises:
            InputError: one is not there.
        """
        names = {"rows": f"{self.matrix}_matrix.csv", **_OTHERS}
        folder = data_path if (data_path / names["rows"]).is_file() else data_path / "data"
        found = {role: folder / name for role, name in names.items()}
        if missing := [name for role, name in names.items() if not found[role].is_file()]:
            raise InputError(f"no {missing[0]} in the folder, nor in its folder data", path=data_path)
        daily = folder / _DAILY_FILE
        return found | ({"daily": daily} if daily.is_file() else {})

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line is wrong, with its number.
        """
        tables = {role: _read(engine, file, role) for role, file in files.items()}
        tables["users"].check_unique(engine, "user_id")
        tables["categories"].check_unique(engine, "video_id")
        rows = tables["rows"]
        for key, other in (("user_id", "users"), ("video_id", "categories")):
            check_coverage(engine, rows, key, tables[other], key)
        timed, lost = _timed(engine, rows)
        labelled = timed.mutate(**{LABEL: (timed["watch_ratio"] >= self.positive_from).cast("int8")})
        notes = [f"{lost} rows of {files['rows'].path.name} have no time and are left out"] if lost else []
        if "daily" not in files:
            notes.append(f"there is no {_DAILY_FILE}: of videos, categories and duration only are known")
        return RawData(
            rows=engine.save(only(labelled, ROW, TIMESTAMP, LABEL, "user_id", "video_id")),
            users=engine.save(only(tables["users"].table, "user_id", *USER)),
            items=engine.save(_items(engine, tables)),
            spec=_spec(self.name, "daily" in files),
            notes=tuple(notes),
        )


def _read(engine: Engine, file: RawFile, role: str) -> RawTable:
    found = read(engine, file, _LAYOUTS[role])
    return found.with_table(engine.save(found.table))


def _timed(engine: Engine, rows: RawTable) -> tuple[ir.Table, int]:
    """The rows that have a time, in whole seconds, and how many have none."""
    table = rows.table
    wrong = table.filter(~table["timestamp"].between(EARLIEST, LATEST))
    rows.check(
        engine,
        only(wrong, ROW, "timestamp"),
        lambda row: f"timestamp has to be seconds since 1970, from 1900 to 2199. Received: {short(row['timestamp'])}",
    )
    lost = engine.one(table.agg(lost=table["timestamp"].isnull().sum()))["lost"] or 0
    known = table.filter(table["timestamp"].notnull())
    return known.mutate(**{TIMESTAMP: known["timestamp"].floor().cast("int64")}), int(lost)


def _items(engine: Engine, tables: Mapping[str, RawTable]) -> ir.Table:
    """The videos that a file names: categories, duration and what is known from the daily file."""
    categories = tables["categories"]
    wrong = categories.table.filter(~categories.table["feat"].re_search(_CATEGORIES))
    categories.check(
        engine,
        only(wrong, ROW, "feat"),
        lambda row: f"feat has to be a list of integers as in [27, 9]. Received: {short(row['feat'])}",
    )
    texts = categories.table["feat"].replace("[", "").replace("]", "").replace(" ", "").nullif("").split(",")
    listed = only(categories.table, "video_id", categories=texts.map(lambda text: text.try_cast("int64")))
    durations = tables["rows"].first_of_each("video_id", ["video_duration"])
    found = listed.left_join(durations, "video_id", rname="_right_{name}")
    found = only(found, "video_id", "categories", "video_duration")
    if "daily" in tables:
        daily = tables["daily"].first_of_each("video_id", list(DAILY))
        joined = found.left_join(daily, "video_id", rname="_right_{name}")
        found = only(joined, "video_id", "categories", "video_duration", *DAILY)
    return found


def _spec(name: str, with_daily: bool) -> FeatureSpec:
    daily = DAILY if with_daily else ()
    fields = [
        Field("user_id", "user", "sparse", "int64", "user_id"),
        *(Field(column, "user", "sparse", "string", column) for column in USER),
        Field("user_watch_rate", "user", "dense", "float32"),
        Field("watched", "user", "sequence", "int64", "video_id"),
        Field("video_id", "item", "sparse", "int64", "video_id"),
        Field("categories", "item", "sequence", "int64", "categories"),
        *(Field(column, "item", "sparse", "string", column) for column in daily),
        Field("video_duration", "item", "dense", "float32"),
        Field("item_watch_rate", "item", "dense", "float32"),
    ]
    return FeatureSpec(
        dataset=name,
        fields=tuple(fields),
        user_id="user_id",
        item_id="video_id",
        user_static=USER[:8],
        item_static=("video_id", "categories"),
        history="watched",
        category="categories",
        user_mean="user_watch_rate",
        item_mean="item_watch_rate",
    )
