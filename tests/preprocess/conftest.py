"""A small data set with many ties in time, written in each of MovieLens's layouts, and its prepared samples."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import MISSING, RESERVED, UNSEEN
from preprocess.engines import EngineOptions, engine_class
from preprocess.engines.duckdb import DuckDBEngine
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.raw import RawFile

GENRES = ("Action", "Children's", "Comedy", "Drama", "Film-Noir", "Sci-Fi")
FLAGS = [
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
]


@dataclass(frozen=True)
class Small:
    """ratings: (user, movie, rating, timestamp); users: (id, gender, age, occupation); movies: (id, title, genres)."""

    ratings: list[tuple[int, int, int, int]]
    users: dict[int, tuple[str, int, int]]
    movies: dict[int, tuple[str, tuple[str, ...]]]

    def write_ml_1m(self, folder: Path, order=None, suffix: str = "") -> Path:
        ratings = self.ratings if order is None else [self.ratings[place] for place in order]
        write(folder / f"ratings.dat{suffix}", ("::".join(map(str, row)) for row in ratings))
        users = (f"{user}::{'::'.join(map(str, values))}::0{user:04}" for user, values in self.users.items())
        write(folder / f"users.dat{suffix}", users)
        movies = (f"{movie}::{title}::{'|'.join(genres)}" for movie, (title, genres) in self.movies.items())
        write(folder / f"movies.dat{suffix}", movies)
        return folder

    def write_ml_100k(self, folder: Path) -> Path:
        write(folder / "u.data", ("\t".join(map(str, row)) for row in self.ratings))
        users = (f"{user}|{age}|{gender}|{job}|0{user:04}" for user, (gender, age, job) in self.users.items())
        write(folder / "u.user", users)
        movies = (
            "|".join([str(movie), title, "01-Jan-1995", "", "http://x", *(str(int(name in genres)) for name in FLAGS)])
            for movie, (title, genres) in self.movies.items()
        )
        write(folder / "u.item", movies)
        write(folder / "u.genre", [*(f"{name}|{place}" for place, name in enumerate(FLAGS)), ""])
        return folder

    def write_joined(self, path: Path) -> Path:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = "user_id,movie_id,rating,timestamp,gender,age,occupation,zipcode,title,genres"
            writer.writerow(names.split(","))
            for user, movie, rating, timestamp in self.ratings:
                title, genres = self.movies[movie]
                writer.writerow([user, movie, rating, timestamp, *self.users[user], "01234", title, "|".join(genres)])
        return path


def write(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(line + "\n" for line in lines).encode("latin-1")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _make_small() -> Small:
    random = np.random.default_rng(7)
    users = {user: ("MF"[user % 2], (1, 18, 25, 35)[user % 4], user % 7) for user in range(1, 41)}
    movies = {}
    for movie in range(1, 71):
        genres = tuple(sorted(random.choice(GENRES, random.integers(1, 4), replace=False)))
        movies[movie] = (f'Amélie, "{movie}": the movie (1995)', genres)
    active = random.choice(np.arange(1, 38), 1100, p=np.linspace(1, 5, 37) / np.linspace(1, 5, 37).sum())
    ratings = []
    for user in active:
        # Users arrive over time, so that later parts hold unseen ones; few instants, so that many rows share one.
        timestamp = int(1000 + 3 * user + random.integers(0, 40))
        rating = int(random.integers(1, 4)) if user % 9 == 0 else int(random.integers(1, 6))
        ratings.append((int(user), int(random.integers(1, 66)), rating, timestamp))
    ratings += [ratings[0], ratings[1][:2] + (5, ratings[1][3]), (38, 66, 5, 1200), (39, 67, 1, 1201), (39, 1, 5, 1202)]
    return Small(ratings, users, movies)


@pytest.fixture(scope="session")
def small() -> Small:
    return _make_small()


@pytest.fixture(scope="session")
def ml_1m(small, tmp_path_factory) -> Path:
    return small.write_ml_1m(tmp_path_factory.mktemp("ml-1m"))


@pytest.fixture(scope="session")
def prepared(ml_1m, tmp_path_factory):
    """A function that prepares the small data set with some options."""
    folder = tmp_path_factory.mktemp("prepared")
    return lambda **options: prepare(
        ADAPTER, DataOptions(data_path=ml_1m, prepared_dir=folder, **options), report=lambda line: None
    )


def read_table(prepared, part: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in prepared.parts(part))


@pytest.fixture(scope="session")
def samples():
    """A function that gives a prepared data set's rows by their number in the raw file, indices decoded.

    A missing value becomes None, one out of vocabulary "unseen".
    """

    def decode(prepared, part):
        spec = prepared.spec
        words = {
            name: {MISSING: None, UNSEEN: "unseen"} | dict(enumerate(prepared.vocabulary(name).tolist(), RESERVED))
            for name in spec.tables
        }
        for row in read_table(prepared, part).to_pylist():
            for field in spec.fields:
                if field.kind == "sparse":
                    row[field.name] = words[field.vocabulary][row[field.name]]
                elif field.kind == "sequence":
                    row[field.name] = [words[field.vocabulary][index] for index in row[field.name]]
            yield row["row"], row | {"part": part}

    return lambda prepared: {
        number: row for part in ("train", "validation", "test") for number, row in decode(prepared, part)
    }


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """An engine to read with."""
    with DuckDBEngine(EngineOptions(tmp_path_factory.mktemp("spill"))) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With `PRERANK_NEEDS_SPARK`, as `.ci/run` sets it, a test of Spark that would be skipped fails."""
    report = yield
    if report.skipped and "spark" in item.fixturenames and os.environ.get("PRERANK_NEEDS_SPARK"):
        report.outcome = "failed"
        report.longrepr = f"PRERANK_NEEDS_SPARK is set, but: {call.excinfo.value}"
    return report


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A Spark session that all engines of this process share, with settings for little data."""
    pytest.importorskip("pyspark", reason="no pyspark: requirements-spark.txt")
    if not shutil.which("java"):
        pytest.skip("no Java, which Spark needs")
    engine_class("spark")  # imports pyspark without its warnings
    from preprocess.engines.spark_session import session

    settings = {
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",  # to compile takes longer than few rows
        "spark.sql.shuffle.partitions": "2",
    }
    started, end = session(tmp_path_factory.mktemp("spark"), "local[2]", settings)
    yield started
    end()


@pytest.fixture(scope="session")
def read_raw(engine):
    """A function that gives what an adapter reads, in no order, without preparing it."""

    def lines(table):
        return sorted(engine.table(table).to_pylist(), key=str)

    def read(default, options):
        adapter = options.adapter(default)
        files = {role: RawFile.inspect(path) for role, path in adapter.find(options.data_path).items()}
        raw = adapter.read(engine, files, options.resolved())
        return {"rows": lines(raw.rows), "users": lines(raw.users), "items": lines(raw.items)}

    return read
