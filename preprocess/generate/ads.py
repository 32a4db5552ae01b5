"""Generated logs of ads for several days, as `docs/production.md` uses them: impressions, live ads, changes, removals.

    python -m preprocess.generate ads data/ads --days 2 --rows 100000

Of day N: `dayN.parquet`, the impressions; `itemsN.parquet`, all live ads with their bids; from the second day on
`changedN.parquet`, the ads that are new or have another bid, and `removedN.txt`, the ids of those that are gone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from preprocess.generate._folder import new_folder
from prerank.errors import InputError
from prerank.terminal import Parser, positive, random_seed

_MIDNIGHT, _DAY = 1_790_035_200, 86_400
_WIDTH = 6
_NEW, _GONE, _REPRICED = 0.05, 0.03, 0.1
"""Shares of the ads that a night adds, takes away, and gives another bid."""
_SCHEMA = {
    "dataset": "ads",
    "user_id": "user_id",
    "item_id": "ad_id",
    "label": "clicked",
    "time": "shown_at",
    "fields": {
        "user_id": {"side": "user", "type": "int64"},
        "country": {"side": "user"},
        "device": {"side": "user"},
        "ad_id": {"side": "item"},
        "category": {"side": "item"},
        "advertiser": {"side": "item"},
        "price": {"side": "item", "kind": "dense"},
    },
    "context": ["device"],
    "static": ["country", "ad_id", "category", "advertiser"],
    "category": "category",
    "item_mean": "click_rate",
}


def generate(folder: Path, *, days: int = 2, rows: int = 100_000, users: int = 4_000, ads: int = 2_000, seed: int = 0):
    """Write the files of some days, and `schema.yaml`, into a new folder, whole or not at all.

    Whether a user clicks depends on a product of two vectors, on the ad's category and on the device.

    Args:
        folder: must not exist, or be empty.
        days: how many, at least 1.
        rows: impressions of a day.
        users: how many there are.
        ads: how many are live on the first day, at least 100.
        seed: the same seed and numbers give the same files.

    Raises:
        InputError: there are too few ads, or the folder holds something or cannot be written.
    """
    if ads < 100:
        raise InputError(f"it takes 100 ads at least. Received: {ads}")
    random = np.random.default_rng(seed)
    categories = random.normal(0, 0.8, 12)
    likes = random.normal(0, 1, (users, _WIDTH))
    countries = random.choice(["de", "fr", "it", "es"], users)
    live = _ads(random, 0, ads, len(categories))
    made = ads
    with new_folder(folder) as whole:
        (whole / "schema.yaml").write_text(yaml.safe_dump(_SCHEMA, sort_keys=False), "utf-8")
        for day in range(1, days + 1):
            if day > 1:
                live, changed, removed = _night(random, live, made, len(categories))
                made += round(_NEW * ads)
                _public(changed).to_parquet(whole / f"changed{day}.parquet", index=False)
                (whole / f"removed{day}.txt").write_text("".join(f"{name}\n" for name in removed))
            _public(live).to_parquet(whole / f"items{day}.parquet", index=False)
            shown = _impressions(random, live, likes, countries, categories, rows, day)
            shown.to_parquet(whole / f"day{day}.parquet", index=False)


def _ads(random: np.random.Generator, first: int, count: int, categories: int) -> pd.DataFrame:
    """New ads, with the vectors that nobody sees."""
    return pd.DataFrame(
        {
            "ad_id": [f"ad{number:05}" for number in range(first, first + count)],
            "category": [f"category {number:02}" for number in random.integers(0, categories, count)],
            "advertiser": [f"advertiser {number:03}" for number in random.integers(0, 150, count)],
            "price": np.round(random.lognormal(3, 0.7, count), 2),
            "bid": np.round(random.lognormal(-1, 0.5, count), 3),
            "vector": list(random.normal(0, 1, (count, _WIDTH))),
        }
    )


def _night(
    random: np.random.Generator, live: pd.DataFrame, made: int, categories: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The ads of the next day, those of them that have changed, and the ids that are gone."""
    gone = random.random(len(live)) < _GONE
    rest = live[~gone].copy()
    repriced = random.random(len(rest)) < _REPRICED
    rest.loc[repriced, "bid"] = np.round(rest.loc[repriced, "bid"] * random.lognormal(0, 0.3, repriced.sum()), 3)
    new = _ads(random, made, round(_NEW * len(live)), categories)
    after = pd.concat([rest, new], ignore_index=True)
    return after, pd.concat([rest[repriced], new], ignore_index=True), live["ad_id"][gone].tolist()


def _impressions(
    random: np.random.Generator,
    live: pd.DataFrame,
    likes: np.ndarray,
    countries: np.ndarray,
    categories: np.ndarray,
    rows: int,
    day: int,
) -> pd.DataFrame:
    user, ad = random.integers(0, len(likes), rows), random.integers(0, len(live), rows)
    phone = random.random(rows) < 0.6
    of_category = categories[live["category"].str[-2:].astype(int).to_numpy()[ad]]
    taste = np.einsum("nd,nd->n", likes[user], np.stack(live["vector"].to_numpy())[ad]) / np.sqrt(_WIDTH)
    logits = -1.8 + 1.2 * taste + of_category + 0.3 * phone
    shown = live.drop(columns=["bid", "vector"]).iloc[ad].reset_index(drop=True)
    return pd.DataFrame(
        {
            "user_id": user + 1,
            "country": countries[user],
            "device": np.where(phone, "phone", "desktop"),
            **shown,
            "clicked": (random.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int8),
            "shown_at": _MIDNIGHT + (day - 1) * _DAY + np.sort(random.integers(0, _DAY, rows)),
        }
    )


def _public(ads: pd.DataFrame) -> pd.DataFrame:
    return ads.drop(columns="vector")


def main(arguments: list[str]) -> None:
    """Run the command line.

    Raises:
        InputError: it is wrong, or the folder cannot be written.
    """
    parser = Parser(prog="python -m preprocess.generate ads", description="Write generated logs of ads for some days.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write; must not exist")
    for name, default, what in (
        ("days", 2, "how many days"),
        ("rows", 100_000, "impressions of a day"),
        ("users", 4_000, "how many users"),
        ("ads", 2_000, "live ads on the first day"),
    ):
        parser.add_argument(f"--{name}", type=positive, default=default, help=f"{what} (default: {default})")
    parser.add_argument("--seed", type=random_seed, default=0, help="the same seed gives the same files (default: 0)")
    flags = parser.parse_args(arguments)
    generate(flags.folder, days=flags.days, rows=flags.rows, users=flags.users, ads=flags.ads, seed=flags.seed)
    print(
        f"{flags.folder}: {flags.days} days of {flags.rows} impressions, {flags.users} users, {flags.ads} ads at first"
    )
