"""Generated MovieLens data in the official ML-1M layout, with planted interests.

As in ML-1M, a quarter of the ratings is 3 (here they mean nothing; the protocol drops them), movies' popularity and
users' activity are heavy-tailed, ratings come in sessions with many ties in time, and users and some movies appear
late. What users like is in :mod:`preprocess.generate._movielens_preferences`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from preprocess.generate._folder import new_folder
from preprocess.generate._movielens_preferences import AGES, GENRES, Array, Integers, Rows, Users, World
from preprocess.generated import TRUE_PROBABILITIES
from prerank.errors import InputError

SAMPLE_ROWS = 120_000
"""Ratings of the sample that is used where there is no data."""
PROBABILITIES = TRUE_PROBABILITIES
"""Columns `row` (0-based line of ratings.dat), `user_id`, `movie_id`, all int64, and `probability`, float64."""
POSITIVES = 0.578
"""Default share of label 1 among the rows not rated 3 (ML-1M has 0.778; nearer to a half, fewer rows say as much)."""

_FULL_ROWS, _FULL_USERS, _FULL_MOVIES = 1_000_209, 6040, 3883
_FEWEST_RATINGS, _LARGEST_SHARE = 20, 0.6
_START = 956_703_932
_NEUTRAL, _FIVES, _TWOS = 0.261, 0.39, 0.66
_CELLS = 4_000_000
_SCHEMA = pa.schema([(name, pa.int64()) for name in ("row", "user_id", "movie_id")] + [("probability", pa.float64())])
_WORDS = ["Amélie", "Café", "Dawn", "Echo", "Fjord", "Garden", "Island", "Journey", "Lantern", "Mirror", "Noël"]


@dataclass(frozen=True)
class _Size:
    """How much to generate: `most` is how many movies one user rates at most."""

    rows: int
    users: int
    movies: int
    most: int
    positives: float

    @classmethod
    def of(cls, rows: int, users: int | None, movies: int | None, positives: float) -> _Size:
        """Fill in the defaults and check; as from ML-1M to ML-100K, users and movies fall more slowly than ratings."""
        if rows < 1:
            raise InputError(f"rows must be 1 or more. Received: {rows}")
        if not 0 < positives < 1:
            raise InputError(f"positives must be a share between 0 and 1. Received: {positives}")
        share = rows / _FULL_ROWS
        users = max(1, round(_FULL_USERS * share**0.85)) if users is None else users
        movies = max(60, round(_FULL_MOVIES * share**0.34)) if movies is None else movies
        if users < 1 or movies < 2:
            raise InputError(f"it takes 1 user and 2 movies or more. Received: {users} and {movies}")
        most = int(_LARGEST_SHARE * movies)
        if not users <= rows <= users * most:
            what = f"{users} users of {movies} movies can give {users} to {users * most} ratings"
            raise InputError(f"{what}. Received: {rows}")
        return cls(rows, users, movies, most, positives)

    def of_each_user(self, random: np.random.Generator) -> Integers:
        """Ratings of each user: heavy-tailed, at most `most`, in all `rows`. Shape (users,)."""
        weights = random.lognormal(0, 1.13, self.users)
        sizes = np.full(self.users, min(_FEWEST_RATINGS, self.rows // self.users, self.most))
        while left := self.rows - int(sizes.sum()):
            weights = np.where(sizes < self.most, weights, 0)
            sizes = np.minimum(sizes + random.multinomial(left, weights / weights.sum()), self.most)
        return sizes


def generate(
    folder: Path,
    *,
    rows: int,
    seed: int = 0,
    users: int | None = None,
    movies: int | None = None,
    positives: float = POSITIVES,
) -> None:
    """Write users.dat, movies.dat, ratings.dat and true_probabilities.parquet into a new folder, whole or not at all.

    Users are drawn and written some at a time, so that memory does not grow with `rows`.

    Args:
        folder: must not exist, or be empty.
        rows: lines of ratings.dat, the 26 % rated 3 included.
        seed: the same seed and sizes give the same bytes.
        users: how many; by default 6,040 for 1,000,209 rows, and 996 for 120,000.
        movies: lines of movies.dat; by default 3,883 for 1,000,209 rows, and 1,888 for 120,000.
        positives: expected share of label 1 among the rows not rated 3.

    Raises:
        InputError: a number is too small, the users cannot rate that many different movies, or the folder holds
            something or cannot be written.
    """
    size = _Size.of(rows, users, movies, positives)
    if seed < 0:
        raise InputError(f"seed must be 0 or more. Received: {seed}")
    with new_folder(folder) as whole:
        _write_folder(whole, size, seed)


def _write_folder(folder: Path, size: _Size, seed: int) -> None:
    random = np.random.default_rng([seed, 0])
    world = World.draw(size.movies, random)
    with (folder / "movies.dat").open("wb") as file:
        _write_movies(file, world, random)
    with (
        (folder / "users.dat").open("wb") as users_file,
        (folder / "ratings.dat").open("wb") as ratings_file,
        pa.parquet.ParquetWriter(folder / PROBABILITIES, _SCHEMA) as probabilities,
    ):
        for user_lines, rating_lines, true in _parts(world, size.of_each_user(random), size.positives, seed):
            _write(users_file, user_lines)
            _write(ratings_file, rating_lines)
            probabilities.write_table(true)


def _parts(world: World, sizes: Integers, positives: float, seed: int) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
    """Lines of users.dat, lines of ratings.dat and true probabilities, of some users at a time."""
    offset, written, step = None, 0, max(1, _CELLS // len(world.quality))
    for start in range(0, len(sizes), step):
        random = np.random.default_rng([seed, 1, start])
        users = Users.draw(start + 1, len(sizes[start : start + step]), world, random)
        rows = Rows.draw(users, sizes[start : start + step], world, random)
        offset = _offset(rows.log_odds, positives) if offset is None else offset
        probability = expit(rows.log_odds + offset)
        movie = world.movie_ids[rows.movie]
        rated = pa.table([rows.user, movie, _ratings(probability, random), rows.time + _START], list("umrt"))
        places = np.arange(written, written + len(movie))
        yield _user_lines(users, random), rated, pa.table([places, rows.user, movie, probability], schema=_SCHEMA)
        written += len(movie)


def _offset(log_odds: Array, positives: float) -> float:
    """What brings the mean probability to the share of positives, by bisection."""
    low, high = -100.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(log_odds + middle).mean() < positives else (low, middle)
    return low


def _ratings(probability: Array, random: np.random.Generator) -> Integers:
    """1 or 2 for a negative, 4 or 5 for a positive, and 3 for some of either."""
    size = len(probability)
    low, high = 1 + (random.random(size) < _TWOS), 4 + (random.random(size) < _FIVES)
    ratings = np.where(random.random(size) < probability, high, low)
    return np.where(random.random(size) < _NEUTRAL, 3, ratings)


def _user_lines(users: Users, random: np.random.Generator) -> pa.Table:
    ids = np.arange(users.first, users.first + len(users.age))
    zipcodes = [f"{number:05}" for number in random.integers(501, 99_951, len(ids))]
    return pa.table(
        [ids, np.array(["F", "M"])[users.gender], AGES[users.age], users.occupation, zipcodes], list("ugaoz")
    )


def _write(file: IO[bytes], table: pa.Table) -> None:
    """Append lines with `::` between the values: a csv with an empty column between any two."""
    empty, columns = pa.nulls(table.num_rows, pa.string()), [table.column(0)]
    for column in table.columns[1:]:
        columns += [empty, column]
    lines = pa.table(columns, [str(place) for place in range(len(columns))])
    options = pa.csv.WriteOptions(include_header=False, delimiter=":", quoting_style="none")
    pa.csv.write_csv(lines, file, options)


def _write_movies(file: IO[bytes], world: World, random: np.random.Generator) -> None:
    years = np.maximum(2000 - random.gamma(1.5, 10, len(world.movie_ids)).astype(int), 1919)
    words = random.choice(_WORDS, len(years))
    for movie, year, word, row in zip(world.movie_ids, years, words, world.genres, strict=True):
        genres = "|".join(name for name, has in zip(GENRES, row, strict=True) if has)
        file.write(f"{movie}::{word} {movie}, The ({year})::{genres}\n".encode("latin-1"))


def ceiling_auc(folder: Path) -> float:
    """AUC of the true probabilities over the rows of ratings.dat that are not rated 3: no model can expect more.

    Raises:
        InputError: the folder was not generated, or a file cannot be read.
    """
    try:
        rating = pd.read_csv(folder / "ratings.dat", sep=":", header=None, usecols=[4], dtype=np.int8)[4].to_numpy()
        probability = pd.read_parquet(folder / PROBABILITIES, columns=["probability"])["probability"].to_numpy()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=folder) from error
    labelled = rating != 3
    return float(roc_auc_score(rating[labelled] > 3, probability[labelled]))
