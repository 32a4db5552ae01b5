"""Generated Taobao display-ad data in the official layout, with planted preferences.

As in the official files, raw_sample.csv is ordered by ad and behavior_log.csv by category and brand, one impression in
20 is clicked, the days are 8 days of Asia/Shanghai (22 in the behaviour log), 7 % of the users have no profile, and
levels of profiles and brands of ads are missing. What users like is in :mod:`preprocess.generate._taobao_preferences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
from scipy.special import expit

from preprocess.generate import _planted
from preprocess.generate._counters import Counters
from preprocess.generate._folder import new_folder
from preprocess.generate._planted import Integers, shares
from preprocess.generate._taobao_preferences import DAY, DAYS, Ads, Behaviours, Impressions, Users
from prerank.errors import InputError

SAMPLE_ROWS = 200_000
"""Impressions of the sample that is used where there is no data."""
PROBABILITIES = _planted.PROBABILITIES
"""Columns `row` (0-based data line of raw_sample.csv), `user`, `adgroup_id`, all int64, `clk` int8, `probability`."""
CLICKS = 0.0514
"""Default share of clicks, as in the official data."""

_FULL_ROWS, _FULL_USERS, _FULL_ADS, _FULL_CATEGORIES = 26_557_961, 1_141_729, 846_811, 6_769
_MIDNIGHT = 1_494_000_000
"""2017-05-06 00:00:00 in Asia/Shanghai."""
_ROW_HEADER = "user,time_stamp,adgroup_id,pid,nonclk,clk"
_AD_HEADER = "adgroup_id,cate_id,campaign_id,customer,brand,price"
_PROFILE_HEADER = (
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
    "new_user_class_level "
)
_LOG_HEADER = "user,time_stamp,btag,cate,brand"
_BLOCK = 1 << 18
_CALIBRATION = 200_000
_PLACES = ("430548_1007", "430539_1007")
_KINDS = ("pv", "cart", "fav", "buy")
_WITHOUT_PROFILE, _WITHOUT_BRAND, _WITHOUT_PRICE_LEVEL, _WITHOUT_CITY_LEVEL = 0.07, 0.29, 0.54, 0.32
_SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("row", "user", "adgroup_id")] + [("clk", pa.int8()), ("probability", pa.float64())]
)


@dataclass(frozen=True)
class _Size:
    """How much to generate."""

    rows: int
    users: int
    ads: int
    behaviours: int
    clicks: float

    @classmethod
    def of(cls, rows: int, users: int | None, ads: int | None, behaviours: int, clicks: float) -> _Size:
        """Fill in the defaults, users and ads in proportion to the rows, and check."""
        if rows < 1:
            raise InputError(f"rows must be 1 or more. Received: {rows}")
        if behaviours < 0:
            raise InputError(f"behaviours must be 0 or more. Received: {behaviours}")
        if not 0 < clicks < 1:
            raise InputError(f"clicks must be a share between 0 and 1. Received: {clicks}")
        share = rows / _FULL_ROWS
        users = max(1, round(_FULL_USERS * share)) if users is None else users
        ads = max(1, round(_FULL_ADS * share)) if ads is None else ads
        if users < 1 or not 1 <= ads <= rows:
            raise InputError(f"it takes 1 user and 1 to {rows} ads. Received: {users} and {ads}")
        return cls(rows, users, ads, behaviours, clicks)

    @property
    def categories(self) -> int:
        return max(48, round(_FULL_CATEGORIES * (self.ads / _FULL_ADS) ** 0.5))


@dataclass(frozen=True)
class _World:
    """Everything but the rows. `ends[i]` is the number of impressions of the ads up to and with i. Shape (ads,)."""

    ads: Ads
    users: Users
    ends: Integers
    random: Counters

    @classmethod
    def draw(cls, size: _Size, seed: int) -> _World:
        random = Counters(seed)
        rank = np.argsort(random.uniform("ad rank", np.arange(size.ads)))
        ads, users = Ads.draw(size.ads, size.categories, random), Users.draw(size.users, size.categories, random)
        sizes = shares(size.rows, (1 - ads.start / (DAYS * DAY)) / (rank + 10.0))
        return cls(ads, users, np.cumsum(sizes), random)

    def impressions(self, rows: Integers) -> Impressions:
        return Impressions.draw(rows, self.ends, self.ads, self.users, self.random)


def generate(
    folder: Path,
    *,
    rows: int,
    seed: int = 0,
    behaviours: int = 0,
    users: int | None = None,
    ads: int | None = None,
    clicks: float = CLICKS,
) -> None:
    """Write the official files and true_probabilities.parquet into a new folder, whole or not at all.

    Rows are drawn and written some at a time: beyond the users and ads, memory does not grow with them.

    Args:
        folder: must not exist, or be empty.
        rows: data lines of raw_sample.csv.
        seed: the same seed and sizes give the same bytes.
        behaviours: data lines of behavior_log.csv; 0 for no such file.
        users: how many; by default 1,141,729 for 26,557,961 rows, and in proportion.
        ads: data lines of ad_feature.csv; by default 846,811 for 26,557,961 rows, and in proportion.
        clicks: expected share of clicks.

    Raises:
        InputError: a number is too small or too large, or the folder holds something or cannot be written.
    """
    size = _Size.of(rows, users, ads, behaviours, clicks)
    if seed < 0:
        raise InputError(f"seed must be 0 or more. Received: {seed}")
    with new_folder(folder) as whole:
        world = _World.draw(size, seed)
        _write(whole / "ad_feature.csv", _AD_HEADER, _ad_lines(world))
        _write(whole / "user_profile.csv", _PROFILE_HEADER, _profile_lines(world))
        with pq.ParquetWriter(whole / PROBABILITIES, _SCHEMA) as truth:
            _write(whole / "raw_sample.csv", _ROW_HEADER, _rows(world, size, truth))
        if size.behaviours:
            _write(whole / "behavior_log.csv", _LOG_HEADER, _behaviour_lines(world, size.behaviours))


def _write(path: Path, header: str, tables: Iterable[pa.Table]) -> None:
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write(f"{header}\n".encode())
        for table in tables:
            pa.csv.write_csv(table, file, options)


def _blocks(count: int) -> Iterator[Integers]:
    """The places from 0 up to `count`, some at a time."""
    for start in range(0, count, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, count))


def _rows(world: _World, size: _Size, truth: pq.ParquetWriter) -> Iterator[pa.Table]:
    """Lines of raw_sample.csv; their true probabilities are written to `truth`."""
    sample = np.linspace(0, size.rows - 1, _CALIBRATION).astype(np.int64)
    offset = _planted.offset(world.impressions(sample).log_odds, size.clicks)
    for rows in _blocks(size.rows):
        shown = world.impressions(rows)
        probability = expit(shown.log_odds + offset)
        clicked = (world.random.uniform("click", rows) < probability).astype(np.int8)
        user, ad = shown.user + 1, shown.ad + 1
        truth.write_table(pa.table([rows, user, ad, clicked, probability], schema=_SCHEMA))
        place = pa.array(_PLACES).take(pa.array(shown.place))
        yield pa.table([user, shown.time + _MIDNIGHT, ad, place, 1 - clicked, clicked], names=_ROW_HEADER.split(","))


def _behaviour_lines(world: _World, count: int) -> Iterator[pa.Table]:
    """Lines of behavior_log.csv, by the category and the brand of what was viewed."""
    products = np.arange(min(len(world.ends), count))
    order = np.lexsort((products, world.ads.brand[products], world.ads.category[products]))
    ends = np.cumsum(shares(count, 1 / (np.argsort(world.random.uniform("view rank", products)) + 10.0)))
    for rows in _blocks(count):
        seen = Behaviours.draw(rows, ends, order, world.ads, world.users, world.random)
        kind = pa.array(_KINDS).take(pa.array(seen.kind))
        columns = [seen.user + 1, seen.time + _MIDNIGHT, kind, seen.category + 1, seen.brand + 1]
        yield pa.table(columns, names=_LOG_HEADER.split(","))


def _ad_lines(world: _World) -> Iterator[pa.Table]:
    ads, random = world.ads, world.random
    for places in _blocks(len(ads.category)):
        brand = pa.array(ads.brand[places] + 1).cast(pa.string())
        unnamed = random.uniform("brand missing", ads.brand[places]) < _WITHOUT_BRAND
        price = [str(price) for price in ads.price[places].tolist()]
        codes = [codes[places] + 1 for codes in (ads.category, ads.campaign, ads.customer)]
        columns = [places + 1, *codes, pa.compute.if_else(unnamed, "NULL", brand), price]
        yield pa.table(columns, names=_AD_HEADER.split(","))


def _profile_lines(world: _World) -> Iterator[pa.Table]:
    """Users in order of their ids, some left out; levels are empty where they are not known."""
    users, random = world.users, world.random
    for places in _blocks(len(users.group)):
        places = places[random.uniform("profile missing", places) >= _WITHOUT_PROFILE]

        def level(name: str, count: int, missing: float = 0.0, places: Integers = places) -> pa.Array:
            codes = 1 + (random.uniform(name, places) * count).astype(np.int64)
            return pa.array(codes, mask=random.uniform(f"{name} missing", places) < missing)

        group = users.group[places]
        price_level = pa.array(
            users.price_level[places] + 1,
            mask=random.uniform("price level missing", places) < _WITHOUT_PRICE_LEVEL,
        )
        student = (random.uniform("student", places) < 0.06).astype(np.int64)
        segment = np.where(random.uniform("segmented", places) < 0.6, 0, group * 7 + places % 7)
        columns = [places + 1, segment, group, 1 + group // 7, group % 7, price_level]
        columns += [level("shopping", 3), student, level("city", 4, _WITHOUT_CITY_LEVEL)]
        yield pa.table(columns, names=_PROFILE_HEADER.split(","))


def ceiling_auc(folder: Path) -> float:
    """AUC of the true probabilities over all impressions: no model can expect more.

    Raises:
        InputError: the folder was not generated, or a file cannot be read.
    """
    return _planted.ceiling_auc(folder, "clk")
