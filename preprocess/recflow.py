"""RecFlow (RecFlow-ICLR/RecFlow): the requests of a video app with the candidates that each stage dropped.

The folder has `all_stage/DATE.feather`, a row a candidate of a request, or `realshow/DATE.feather`, the shown ones
only, or both, of which the first counts. `seq_effective_50_dict/DATE.pkl` has the last 50 effective views of each
request's user. The label is `effective_view`, at least 30 % of the video, of the rows that were shown; a request may
show any number of videos. Stages have the grades that the data set's own full-stage learning to rank gives them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features import FeatureSpec, Field
from preprocess.dataset import RawData
from preprocess.engines import Engine
from preprocess.feather_rows import read_feather
from preprocess.names import LABEL, REQUEST, ROW, STAGE, TIMESTAMP, only
from preprocess.options import ResolvedOptions
from preprocess.parquet_rows import Source
from preprocess.raw import RawFile, RawTable
from preprocess.restricted_pickles import read_pickle
from prerank.errors import InputError
from prerank.values import EARLIEST, LATEST

GRADES = {
    "realshow": 5,
    "rerank_pos": 4,
    "rank_pos": 4,
    "rerank_neg": 3,
    "rank_neg": 3,
    "coarse_neg": 2,
    "prerank_neg": 1,
}
"""The stage that each flag says; of a row with several flags the largest."""
_CONTEXT = ("device_id", "age", "gender", "province")
_VIDEO = ("author_id", "category_level_one", "category_level_two", "upload_type")
_DURATION = "duration"
_VIEWED = {"video_id": 0, "author_id": 1, "category_level_two": 2, "category_level_one": 3}
"""Columns of a sequence that become histories; column 7 is the time of the view in milliseconds, 0 for none."""
_HISTORY = "viewed_{}"
_TIME, _FEWEST_COLUMNS = 7, 8
_SHANGHAI = 8
_FOLDERS = ("all_stage", "realshow")
_SEQUENCES = "seq_effective_50_dict"
_REQUESTS_AT_ONCE = 1 << 14
_MILLISECONDS = 1000


@dataclass(frozen=True)
class RecFlow:
    """The adapter of RecFlow's files (see :class:`preprocess.dataset.Adapter`)."""

    name: ClassVar[str] = "recflow"
    samples_version: ClassVar[int] = 1

    def find(self, data_path: Path) -> dict[str, Path]:
        """The files of every day that is there.

        Raises:
            InputError: there is none, a file's name is no date, or a day lacks its sequences and others have them.
        """
        days: dict[str, Path] = {}
        for folder in _FOLDERS:
            for path in sorted((data_path / folder).glob("*.feather")):
                days.setdefault(_day(path), path)
        if not days:
            raise InputError("no all_stage/DATE.feather and no realshow/DATE.feather", path=data_path)
        found = {f"rows {day}": days[day] for day in sorted(days)}
        if (data_path / _SEQUENCES).is_dir():
            for day in sorted(days):
                path = data_path / _SEQUENCES / f"{day}.pkl"
                if not path.is_file():
                    raise InputError(f"no such file, and {days[day].name} is there", path=path)
                found[f"views {day}"] = path
        return found

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a row or a sequence is wrong, with its place.
        """
        views = [file for role, file in files.items() if role.startswith("views")]
        days = [role.split()[1] for role in files if role.startswith("rows")]
        rows = _read_rows(engine, [file for role, file in files.items() if role.startswith("rows")])
        spec = _spec(bool(views))
        table = rows.table
        whole = _follow_one_another(days)
        notes = [] if whole else ["RecFlow's days have gaps: --split time cuts by shares of the rows"]
        if not views:
            notes.append(
                f"there is no folder {_SEQUENCES}: histories are made of earlier effective views among the rows"
            )
        columns = [ROW, TIMESTAMP, LABEL, REQUEST, STAGE, "user_id", "video_id", *_CONTEXT]
        return RawData(
            rows=engine.save(only(table, *columns)),
            users=engine.save(only(table, "user_id").distinct()),
            items=engine.save(rows.first_of_each("video_id", [*_VIDEO, _DURATION])),
            spec=spec,
            behaviours=_log(engine, table, views) if views else None,
            utc_offset=_SHANGHAI if whole else None,
            notes=tuple(notes),
        )


def _day(path: Path) -> str:
    try:
        return datetime.date.fromisoformat(path.stem).isoformat()
    except ValueError as error:
        raise InputError("a file of a day is named as in 2024-01-13.feather", path=path) from error


def _follow_one_another(days: Sequence[str]) -> bool:
    """Whether there are enough days, none of them left out, for a cut by days."""
    numbers = [datetime.date.fromisoformat(day).toordinal() for day in days]
    return len(days) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1


def _spec(with_views: bool) -> FeatureSpec:
    """The fields, and the history of views or of earlier positives."""
    fields = [Field(name, "user", "sparse", "int64", name) for name in ("user_id", *_CONTEXT)]
    fields.append(Field("user_view_rate", "user", "dense", "float32"))
    histories = [_HISTORY.format(name) for name in (_VIEWED if with_views else ["video_id"])]
    names = dict(zip(histories, _VIEWED, strict=False))
    fields += [Field(history, "user", "sequence", "int64", name) for history, name in names.items()]
    fields += [Field(name, "item", "sparse", "int64", name) for name in ("video_id", *_VIDEO)]
    fields += [Field(name, "item", "dense", "float32") for name in (_DURATION, "item_view_rate")]
    return FeatureSpec(
        dataset="recflow",
        fields=tuple(fields),
        user_id="user_id",
        item_id="video_id",
        user_static=("user_id",),
        item_static=_VIDEO,
        history=histories[0],
        behaviours=tuple(histories) if with_views else (),
        context=_CONTEXT,
        category="category_level_one",
        user_mean="user_view_rate",
        item_mean="item_view_rate",
        row_columns=("request", "stage"),
    )


def _read_rows(engine: Engine, files: Sequence[RawFile]) -> RawTable:
    """The candidates, with the preparation's names, checked."""
    sources = [
        Source(REQUEST, "request_id", "int", required=True),
        Source(TIMESTAMP, "request_timestamp", "seconds", True, _MILLISECONDS),
        *(Source(name, name, "int", required=True) for name in ("user_id", "video_id")),
        *(Source(name, name, "int") for name in (*_CONTEXT, *_VIDEO)),
        Source(_DURATION, _DURATION, "number"),
        *(Source(flag, flag, "label") for flag in GRADES),
        Source("effective_view", "effective_view", "label"),
    ]
    rows = read_feather(engine, files, sources)
    rows.one_each(engine, REQUEST, ["user_id"], "request_id")
    table = rows.table
    flags = {flag: (table[flag] == 1).fill_null(False) for flag in GRADES}
    stage = ibis.greatest(*(flags[flag].ifelse(grade, 0) for flag, grade in GRADES.items())).cast("int8")
    table = table.mutate(**{STAGE: stage, "_shown": flags["realshow"]})
    rows.check(
        engine,
        only(table.filter(table[STAGE] == 0), ROW),
        lambda _: f"none of the flags {', '.join(GRADES)} is 1",
    )
    label = table["effective_view"]
    wrong = table.filter(table["_shown"] & ~label.isin([0.0, 1.0]).fill_null(False))
    rows.check(
        engine,
        only(wrong, ROW, _given=wrong["effective_view"]),
        lambda row: f"effective_view of a shown video has to be 0 or 1. Received: {row['_given']}",
    )
    shown = table["_shown"].ifelse(label, ibis.null("float64")).cast("int8")
    return rows.with_table(engine.save(table.mutate(**{LABEL: shown})))


def _log(engine: Engine, rows: ir.Table, files: Sequence[RawFile]) -> ir.Table:
    """The users' views: all that the sequences hold, each once."""
    names = list(_VIEWED)
    kinds = [(REQUEST, pa.int64()), (ROW, pa.int64()), *((name, pa.int64()) for name in names)]
    schema = pa.schema(kinds)
    loaded = engine.load(schema, (batch for file in files for batch in _views(file.path, schema)))
    users = only(rows, REQUEST, "user_id").distinct()
    views = loaded.join(users, REQUEST)
    # ROW is the time in milliseconds so far. What two sequences say of one view is the same; so any will do.
    once = views.group_by(["user_id", ROW, "video_id"]).agg(
        **{name: views[name].min() for name in names if name != "video_id"}
    )
    time = (once[ROW] // _MILLISECONDS).cast("int64")
    place = ibis.row_number().over(group_by=once["user_id"], order_by=[once[ROW], once["video_id"]])
    columns: dict[str, Any] = {_HISTORY.format(name): once[name] for name in names}
    return engine.save(only(once, "user_id", **{TIMESTAMP: time, ROW: place.cast("int64")}, **columns))


def _views(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The views of one day's sequences: the request, the time in milliseconds, and the video's columns."""
    sequences = read_pickle(path)
    if not isinstance(sequences, dict):
        raise InputError(f"a dict of sequences by request expected. Received: {type(sequences).__name__}", path=path)
    requests = list(sequences)
    for start in range(0, len(requests), _REQUESTS_AT_ONCE):
        chosen = requests[start : start + _REQUESTS_AT_ONCE]
        arrays = [_sequence(path, request, sequences[request]) for request in chosen]
        lengths = [len(array) for array in arrays]
        views = np.concatenate(arrays) if arrays else np.zeros((0, _FEWEST_COLUMNS), np.int64)
        request = np.repeat(np.array(chosen, np.int64), lengths)
        time = views[:, _TIME]
        values = [views[:, place] for place in _VIEWED.values()]
        columns = [pa.array(request), pa.array(time), *(pa.array(value, mask=value < 0) for value in values)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _sequence(path: Path, request: Any, array: Any) -> np.ndarray:
    """The views (n, 8) int64 of one request, without the padding before them."""
    if type(request) is not int or not -(2**63) <= request < 2**63:
        raise InputError(f"a request's key has to be an integer. Received: {request!r}", path=path)
    what = f"the sequence of request {request}"
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] < _FEWEST_COLUMNS:
        shape = getattr(array, "shape", type(array).__name__)
        raise InputError(
            f"{what} has to be an array of {_FEWEST_COLUMNS} columns or more. Received: {shape}", path=path
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"{what} has to hold integers. Received: {array.dtype}", path=path)
    array = array.astype(np.int64, copy=False)
    views = array[array[:, _TIME] > 0]
    seconds = views[:, _TIME] // _MILLISECONDS
    if len(views) and not (seconds.min() >= EARLIEST and seconds.max() <= LATEST):
        raise InputError(f"{what} has a time that is none in milliseconds", path=path)
    if (views[:, _VIEWED["video_id"]] < 0).any():
        raise InputError(f"{what} has a view without a video", path=path)
    return views[:, :_FEWEST_COLUMNS]  # sequences of one file may differ in what comes after
