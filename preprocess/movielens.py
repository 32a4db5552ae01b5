"""MovieLens: ML-1M (`*.dat`), ML-100K (`u.*`) or one joined csv file.

Rows rated 3 are dropped, the label is 1 above 3 and 0 below. The fields are those of the public HIT
code: user id, gender, age, occupation, the user's mean rating and liked movies; movie id, genres, the
movie's mean rating.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import ibis
import ibis.expr.types as ir

from preprocess.dataset import RawData
from preprocess.delimited import read
from preprocess.engines import Engine
from preprocess.names import LABEL, ROW, TIMESTAMP, only
from preprocess.options import ResolvedOptions
from preprocess.raw import Column, Layout, RawFile, RawTable, plain_or_gz
from preprocess.schema import FieldSchema, Schema
from prerank.errors import InputError

_NEUTRAL = 3

_USER_ID = Column("user_id", "int", required=True)
_MOVIE_ID = Column("movie_id", "int", required=True)
_RATING = (_USER_ID, _MOVIE_ID, Column("rating", "int", required=True), Column("timestamp", "seconds", required=True))

_ML_1M = {
    "ratings": Layout(_RATING, "::"),
    "users": Layout(
        (_USER_ID, Column("gender"), Column("age", "int"), Column("occupation", "int"), Column("zipcode")), "::"
    ),
    "movies": Layout((_MOVIE_ID, Column("title"), Column("genres")), "::"),
}
_JOINED = Layout(
    (
        *_RATING,
        Column("gender"),
        Column("age", "int"),
        Column("occupation", "int"),
        Column("zipcode"),
        Column("title"),
        Column("genres"),
    ),
    ",",
    header=True,
    quote='"',
    encoding="utf-8",
)

_GENRES_100K = [
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
]
_FLAGS = tuple(f"flag_{place}" for place in range(len(_GENRES_100K)))
_ML_100K = {
    "ratings": Layout(_RATING, "\t"),
    "users": Layout((_USER_ID, Column("age", "int"), Column("gender"), Column("occupation"), Column("zipcode")), "|"),
    "movies": Layout(
        (
            _MOVIE_ID,
            *(Column(name) for name in ("title", "release_date", "video_release_date", "url")),
            *(Column(flag, "int", required=True) for flag in _FLAGS),
        ),
        "|",
    ),
    "genres": Layout((Column("genre", required=True), Column("flag", "int", required=True)), "|"),
}

_FILES_1M = {"ratings": "ratings.dat", "users": "users.dat", "movies": "movies.dat"}
_FILES_100K = {"ratings": "u.data", "users": "u.user", "movies": "u.item"}


def _schema(occupation: Literal["int64", "string"]) -> Schema:
    return Schema(
        dataset="movielens",
        fields={
            "user_id": FieldSchema(side="user", type="int64"),
            "gender": FieldSchema(side="user"),
            "age": FieldSchema(side="user", type="int64"),
            "occupation": FieldSchema(side="user", type=occupation),
            "movie_id": FieldSchema(side="item", type="int64"),
            "genres": FieldSchema(side="item", kind="sequence", separator="|"),
        },
        user_id="user_id",
        item_id="movie_id",
        static=("gender", "age", "movie_id"),
        category="genres",
        history="user_hist",
        user_mean="user_mean_rating",
        item_mean="item_mean_rating",
    )


@dataclass(frozen=True)
class MovieLens:
    """The adapter of the three layouts (see :class:`preprocess.dataset.Adapter`)."""

    name: str = "movielens"
    samples_version: ClassVar[int] = 1

    def find(self, data_path: Path) -> dict[str, Path]:
        """The raw files by role, each plain or as `.gz`.

        Raises:
            InputError: no layout is complete; says which files were expected.
        """
        if data_path.is_file():
            if data_path.name.endswith((".csv", ".csv.gz")):
                return {"joined": data_path}
            raise InputError(
                "a single file has to be the joined csv (*.csv or *.csv.gz), or give the folder", path=data_path
            )
        if not data_path.is_dir():
            raise InputError("no such folder or file", path=data_path)
        for names in (_FILES_1M, _FILES_100K):
            found = {role: path for role, name in names.items() if (path := plain_or_gz(data_path / name))}
            if len(found) == len(names):
                genres = plain_or_gz(data_path / "u.genre") if names is _FILES_100K else None
                return found | ({"genres": genres} if genres else {})
        expected = " or ".join(", ".join(names.values()) for names in (_FILES_1M, _FILES_100K))
        raise InputError(f"not a MovieLens folder: expected {expected} (each may end in .gz)", path=data_path)

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line is wrong, with its number.
        """
        if "joined" in files:
            return _read_joined(engine, files["joined"])
        layouts = _ML_1M if files["ratings"].path.name.startswith(_FILES_1M["ratings"]) else _ML_100K
        raw = {role: read(engine, file, layouts[role]) for role, file in files.items()}
        for role, key in (("users", "user_id"), ("movies", "movie_id")):
            raw[role].check_unique(engine, key)
            _check_known(engine, raw["ratings"], raw[role], key)
        if layouts is _ML_1M:
            return _raw_data(engine, raw["ratings"], raw["users"].table, _with_genres(raw["movies"].table), "int64")
        genres = _genre_names(engine, raw["genres"]) if "genres" in raw else _GENRES_100K
        movies = _join_flags(raw["movies"].table, genres)
        return _raw_data(engine, raw["ratings"], raw["users"].table, _with_genres(movies), "string")


ADAPTER = MovieLens()


def _check_known(engine: Engine, ratings: RawTable, known: RawTable, key: str) -> None:
    unknown = ratings.table.anti_join(known.table, key).select(key, ROW)
    ratings.check(engine, unknown, lambda row: f"{key} {row[key]} is not in {known.file.path.name}")


def _raw_data(
    engine: Engine, ratings: RawTable, users: ir.Table, movies: ir.Table, occupation: Literal["int64", "string"]
) -> RawData:
    """The tables of any layout, once they have ML-1M's columns, and genres as lists."""
    table = ratings.table
    wrong = table.filter(~table.rating.between(1, 5)).select(ROW, "rating")
    ratings.check(engine, wrong, lambda row: f"a rating is 1, 2, 3, 4 or 5. Received: {row['rating']}")
    rows = table.filter(table.rating != _NEUTRAL)
    made = {TIMESTAMP: rows.timestamp, LABEL: (rows.rating > _NEUTRAL).cast("int8")}
    rows = only(rows, ROW, "user_id", "movie_id", **made)
    return RawData(
        rows=rows,
        users=engine.save(users.select("user_id", "gender", "age", "occupation")),
        items=engine.save(movies.select("movie_id", "genres")),
        spec=_schema(occupation).spec(),
    )


def _read_joined(engine: Engine, file: RawFile) -> RawData:
    joined = read(engine, file, _JOINED)
    joined = joined.with_table(engine.save(_with_genres(joined.table)))
    users = joined.one_each(engine, "user_id", ("gender", "age", "occupation"))
    movies = joined.one_each(engine, "movie_id", ("genres",))
    return _raw_data(engine, joined, users, movies, "int64")


def _with_genres(movies: ir.Table) -> ir.Table:
    """The table with ML-1M's `a|b` as lists."""
    return movies.mutate(genres=movies.genres.split("|"))


def _genre_names(engine: Engine, genres: RawTable) -> list[str]:
    """Names of the flag columns of `u.item`, from `u.genre` (`name|place`)."""
    names = {row["flag"]: row["genre"] for row in engine.table(genres.table).to_pylist()}
    if sorted(names) != list(range(len(_FLAGS))):
        message = f"has to number {len(_FLAGS)} genres from 0. Received: {sorted(names)}"
        raise InputError(message, path=genres.file.path)
    return [names[place] for place in range(len(_FLAGS))]


def _join_flags(movies: ir.Table, genres: list[str]) -> ir.Table:
    """Genre flags as ML-1M's `a|b`."""
    named = [
        (movies[flag] == 1).ifelse(ibis.literal(name), ibis.null("string"))
        for flag, name in zip(_FLAGS, genres, strict=True)
    ]
    present = ibis.array(named).filter(lambda name: name.notnull())
    return movies.select("movie_id", genres=present.join("|").nullif(""))
