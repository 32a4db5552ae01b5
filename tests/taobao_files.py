"""A tiny Taobao in each of its layouts, with ties in time and everything that the official files lack."""

import gzip
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

MIDNIGHT = 1_494_000_000
"""The beginning of 6 May 2017 in Shanghai."""
DAY = 86_400
PROFILE = "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation"
_ROWS, _USERS, _ADS, _ENTRIES = 700, 25, 40, 900


@dataclass(frozen=True)
class Taobao:
    """Lines without their headers, as tuples.

    Attributes:
        rows: user, time_stamp, adgroup_id, pid, clk.
        ads: adgroup_id, cate_id, campaign_id, customer, brand, price, as text.
        users: userid and the 8 columns of a profile, as text.
        log: user, time_stamp, btag, cate, brand (as text).
    """

    rows: list[tuple]
    ads: list[tuple]
    users: list[tuple]
    log: list[tuple] = field(default_factory=list)

    def write(self, folder: Path, suffix: str = "") -> Path:
        """The official files; without a log three of them."""
        header = "user,time_stamp,adgroup_id,pid,nonclk,clk"
        rows = [(user, time, ad, pid, 1 - clk, clk) for user, time, ad, pid, clk in self.rows]
        write(folder / f"raw_sample.csv{suffix}", header, rows)
        header = "adgroup_id,cate_id,campaign_id,customer,brand,price"
        write(folder / f"ad_feature.csv{suffix}", header, self.ads)
        write(folder / f"user_profile.csv{suffix}", f"{PROFILE},new_user_class_level ", self.users)
        if self.log:
            write(folder / f"behavior_log.csv{suffix}", "user,time_stamp,btag,cate,brand", self.log)
        return folder

    def write_clicks(self, folder: Path) -> Path:
        """Clicks alone, with the users' profiles and ads in the other layout."""
        clicks = [(user, ad, 1, "train") for user, _, ad, _, clk in self.rows if clk]
        write(folder / "clicks.csv.gz", "user,adgroup_id,clk,split", clicks)
        ads = [
            (ad, cate, brand.replace("NULL", ""), int(float(price) >= 100)) for ad, cate, _, _, brand, price in self.ads
        ]
        write(folder / "ad_feature.csv", "adgroup_id,cate_id,brand,price_level", ads)
        zeros = [tuple(value or "0" for value in user) for user in self.users]
        write(folder / "user_profile.csv", f"{PROFILE},new_user_class_level ", zeros)
        return folder


def write(path: Path, header: str, rows: list[tuple]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    data = (header + "\n" + text).encode() if header else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def make(days: int = 6) -> Taobao:
    """700 impressions of `days` days, few moments a day; a user without a profile, an ad without a line."""
    random = np.random.default_rng(3)
    moment = lambda count, first: MIDNIGHT + first * DAY + random.integers(0, (days - first) * 24, count) * 3600  # noqa: E731
    users = random.integers(1, _USERS + 1, _ROWS)
    late = random.random(_ROWS) < 0.05
    rows = zip(
        np.where(late, 90, users).tolist(),
        np.where(late, MIDNIGHT + (days - 1) * DAY, moment(_ROWS, 0)).tolist(),
        random.integers(1, _ADS + 1, _ROWS).tolist(),
        random.choice(["430548_1007", "430539_1007"], _ROWS).tolist(),
        # some users never click
        ((random.random(_ROWS) < 0.3) & (users % 6 != 0)).astype(int).tolist(),
        strict=True,
    )
    ads = [
        (ad, ad % 7 + 1, ad * 10, ad % 5, "NULL" if ad % 4 == 0 else str(ad % 9), f"{random.integers(1, 400)}.5")
        for ad in range(1, _ADS)
    ]
    levels = lambda user: (str(user % 3), "1", "2" if user % 2 else "", "3", str(user % 2), str(user % 4 or ""))  # noqa: E731
    profiles = [(user, user % 5, user % 3, *levels(user)) for user in range(1, _USERS)]
    log = zip(
        random.integers(1, _USERS + 5, _ENTRIES).tolist(),
        (moment(_ENTRIES, -2)).tolist(),
        random.choice(["pv", "cart", "fav", "buy"], _ENTRIES).tolist(),
        random.integers(1, 300, _ENTRIES).tolist(),
        random.choice(["NULL", "5", "6", "7"], _ENTRIES).tolist(),
        strict=True,
    )
    return Taobao(list(rows), ads, profiles, list(log))


def without_log(data: Taobao) -> Taobao:
    """The same without behaviours."""
    return replace(data, log=[])
