"""Generated Amazon reviews and products in the official layout of 2014, with planted preferences.

As in the official files, reviews are JSON lines and products Python literals, both gzip; times are midnights, so many
are tied; every reviewer has five reviews or more; a part of the products has no price, no categories or no line, and
some were never reviewed. Reviews are ordered by reviewer, their texts are a few words. What reviewers like is in
:mod:`preprocess.generate._amazon_preferences`.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from preprocess.generate import _planted
from preprocess.generate._amazon_preferences import DAY, DAYS, Items, Reviews, Users, department_of
from preprocess.generate._counters import Counters
from preprocess.generate._folder import new_folder
from preprocess.generate._planted import Integers, shares
from prerank.errors import InputError

SAMPLE_ROWS = 150_000
"""Reviews of the sample that is used where there is no data."""
PROBABILITIES = _planted.PROBABILITIES
"""Columns `row` (0-based line of the reviews), `label` int8, `probability` float64."""
POSITIVES = 0.65
"""Default share of 4 and 5 stars (Electronics has 0.80; nearer to a half, fewer rows say as much)."""

_FULL_ROWS, _FULL_USERS, _FULL_ITEMS, _FULL_CATEGORIES = 1_689_188, 192_403, 63_001, 800
_FEWEST_REVIEWS, _FEWEST_ITEMS = 5, 60
_LAST_DAY = 1_406_073_600
_FIVES, _TWOS, _ONES = 0.74, 0.25, 0.33
_WITHOUT_PRICE, _WITHOUT_CATEGORIES, _WITHOUT_LINE, _NEVER_REVIEWED = 0.3, 0.02, 0.02, 0.15
_BLOCK = 1 << 17
_CALIBRATION = 100_000
_SCHEMA = pa.schema([("row", pa.int64()), ("label", pa.int8()), ("probability", pa.float64())])
_WORDS = ["Adapter", "Beginner's Kit", "Cable", "Dock", "Earphones", "Filter", "Grip", 'Holder 7"', "Insulator", "Jack"]


@dataclass(frozen=True)
class _Size:
    """How much to generate."""

    rows: int
    users: int
    items: int
    positives: float

    @classmethod
    def of(cls, rows: int, users: int | None, items: int | None, positives: float) -> _Size:
        """Fill in the defaults, reviewers and products in proportion to the reviews of Electronics, and check."""
        if rows < 1:
            raise InputError(f"rows must be 1 or more. Received: {rows}")
        if not 0 < positives < 1:
            raise InputError(f"positives must be a share between 0 and 1. Received: {positives}")
        share = rows / _FULL_ROWS
        users = max(1, round(_FULL_USERS * share)) if users is None else users
        items = max(_FEWEST_ITEMS, round(_FULL_ITEMS * share)) if items is None else items
        if not 1 <= users <= rows or items < 1:
            raise InputError(f"it takes 1 to {rows} reviewers and 1 product. Received: {users} and {items}")
        return cls(rows, users, items, positives)

    @property
    def categories(self) -> int:
        return max(32, round(_FULL_CATEGORIES * (self.items / _FULL_ITEMS) ** 0.5))


@dataclass(frozen=True)
class _World:
    """Everything but the reviews. `ends[i]` is the number of reviews of the reviewers up to and with i."""

    items: Items
    users: Users
    ends: Integers
    random: Counters

    @classmethod
    def draw(cls, size: _Size, seed: int) -> _World:
        random = Counters(seed)
        weights = np.exp(1.2 * random.normal("user activity", np.arange(size.users)))
        fewest = min(_FEWEST_REVIEWS, size.rows // size.users)
        sizes = fewest - 1 + shares(size.rows - (fewest - 1) * size.users, weights)
        items, users = Items.draw(size.items, size.categories, random), Users.draw(size.users, size.categories, random)
        return cls(items, users, np.cumsum(sizes), random)

    def reviews(self) -> Iterator[tuple[int, Reviews]]:
        """All reviews with the number of the first, of some whole reviewers at a time."""
        user = 0
        while user < len(self.ends):
            first = int(self.ends[user - 1]) if user else 0
            end = max(user + 1, int(np.searchsorted(self.ends, first + _BLOCK, side="right")))
            yield first, self.of_reviewers(user, end)
            user = end

    def of_reviewers(self, start: int, end: int) -> Reviews:
        """The reviews of the reviewers from `start` up to `end`."""
        first = int(self.ends[start - 1]) if start else 0
        sizes = np.diff(self.ends[start:end], prepend=first)
        return Reviews.draw(first, np.repeat(np.arange(start, end), sizes), self.items, self.users, self.random)


def generate(
    folder: Path,
    *,
    rows: int,
    seed: int = 0,
    category: str = "Electronics",
    users: int | None = None,
    items: int | None = None,
    positives: float = POSITIVES,
) -> None:
    """Write reviews_<category>_5.json.gz, meta_<category>.json.gz and true_probabilities.parquet into a new folder.

    Whole or not at all. Reviews are drawn and written some at a time: beyond reviewers and products, memory does not
    grow with them.

    Args:
        folder: must not exist, or be empty.
        rows: reviews.
        seed: the same seed and sizes give the same bytes.
        category: stands in the files' names and begins every category path.
        users: how many reviewers; by default 192,403 for 1,689,188 rows, and in proportion.
        items: how many products that can be reviewed; by default 63,001 for 1,689,188 rows, and in proportion.
        positives: expected share of 4 and 5 stars.

    Raises:
        InputError: a number is too small or too large, or the folder holds something or cannot be written.
    """
    size = _Size.of(rows, users, items, positives)
    if seed < 0:
        raise InputError(f"seed must be 0 or more. Received: {seed}")
    with new_folder(folder) as whole:
        world = _World.draw(size, seed)
        _write(whole / f"meta_{category}.json.gz", _products(world, category))
        with pq.ParquetWriter(whole / PROBABILITIES, _SCHEMA) as truth:
            _write(whole / f"reviews_{category}_5.json.gz", _reviews(world, size, truth))


def _write(path: Path, lines: Iterable[str]) -> None:
    """As gzip, without the time, so that the bytes are the same each time."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        for piece in lines:
            packed.write(piece.encode())


def _reviews(world: _World, size: _Size, truth: pq.ParquetWriter) -> Iterator[str]:
    """Lines of reviews, some at a time; their true probabilities are written to `truth`."""
    some = max(1, int(np.searchsorted(world.ends, _CALIBRATION)))
    offset = _planted.offset(world.of_reviewers(0, some).log_odds, size.positives)
    for first, drawn in world.reviews():
        rows = np.arange(first, first + len(drawn.user))
        probability = expit(drawn.log_odds + offset)
        label = world.random.uniform("label", rows) < probability
        truth.write_table(pa.table([rows, label.astype(np.int8), probability], schema=_SCHEMA))
        stars = _stars(label, world.random.uniform("stars", rows))
        yield "".join(_review_lines(drawn, stars))


def _stars(label: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """5 or 4 for a positive, and 3, 2 or 1 for a negative."""
    low = np.select([uniform < _ONES, uniform < _ONES + _TWOS], [1, 2], 3)
    return np.where(label, np.where(uniform < _FIVES, 5, 4), low)


def _review_lines(drawn: Reviews, stars: np.ndarray) -> Iterator[str]:
    times = [_LAST_DAY - (DAYS - 1 - day) * DAY for day in range(DAYS)]
    dates = [datetime.fromtimestamp(time, UTC).strftime("%m %-d, %Y") for time in times]
    columns = [column.tolist() for column in (drawn.user, drawn.item, drawn.day, stars)]
    for user, item, day, star in zip(*columns, strict=True):
        yield (
            f'{{"reviewerID": "{_reviewer(user)}", "asin": "{_asin(item)}", "reviewerName": "R. \\"{user}\\"", '
            f'"helpful": [{user % 3}, {user % 5}], "reviewText": "Bought {star} of them.", "overall": {star}.0, '
            f'"summary": "As said", "unixReviewTime": {times[day]}, "reviewTime": "{dates[day]}"}}\n'
        )


def _reviewer(place: int) -> str:
    return f"A{place:013X}"


def _asin(place: int) -> str:
    return f"B{place:09X}"


def _products(world: _World, category: str) -> Iterator[str]:
    """Lines of products in the order of their ids, those that nobody reviewed at the end."""
    items, random = world.items, world.random
    extra = Items.draw(max(1, round(_NEVER_REVIEWED * len(items.category))), len(items.category_ends) - 1, random)
    codes, prices = np.r_[items.category, extra.category], np.r_[items.price, extra.price]
    places = np.arange(len(codes))
    without = {
        name: random.uniform(f"{name} missing", places) < share
        for name, share in (("price", _WITHOUT_PRICE), ("categories", _WITHOUT_CATEGORIES), ("line", _WITHOUT_LINE))
    }
    for place, code, price in zip(places.tolist(), codes.tolist(), prices.tolist(), strict=True):
        if without["line"][place]:
            continue
        product: dict[str, Any] = {"asin": _asin(place), "title": f"{_WORDS[place % len(_WORDS)]} {place}"}
        if not without["price"][place]:
            product["price"] = round(price, 2)
        product["related"] = {"also_viewed": [_asin(place // 2)]}
        if not without["categories"][place]:
            department = f"Department {int(department_of(code))}"
            product["categories"] = [[category], [category, department, f"Kind {code}"]]
        yield f"{product!r}\n"


def ceiling_auc(folder: Path) -> float:
    """AUC of the true probabilities over all reviews: no model can expect more.

    Raises:
        InputError: the folder was not generated, or a file cannot be read.
    """
    return _planted.ceiling_auc(folder, "label")
