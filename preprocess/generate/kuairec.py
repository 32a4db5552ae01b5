"""Generated data in KuaiRec's layout, with the planted preferences of generated requests.

Whether a user watches a video at least twice is what a click is there: `truth.npz` has its probability. The small
matrix has every pair of some users and videos; the big one has pairs of all users and videos, popular ones more often.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from scipy.special import expit

from preprocess.generate import _planted
from preprocess.generate._folder import new_folder
from preprocess.generate._request_world import AGES, World
from preprocess.generate.truth import Truth
from preprocess.kuairec import USER
from prerank.errors import InputError
from prerank.terminal import Parser, positive, random_seed

MIDNIGHT = 1_593_792_000
"""2020-07-04 00:00:00 in Asia/Shanghai."""
_DAYS, _DAY = 62, 86_400
_WITHOUT_TIME = 0.04
_SHARE = 4
"""The small matrix has one in so many users, and in so many videos."""


def generate(folder: Path, *, users: int = 400, items: int = 800, rows: int = 40_000, seed: int = 0) -> None:
    """Write the official files and truth.npz into a new folder, whole or not at all.

    Args:
        folder: must not exist, or be empty.
        users: how many; one in four is of the small matrix.
        items: how many videos; one in four is of the small matrix.
        rows: of the big matrix.
        seed: the same seed and numbers give the same bytes.

    Raises:
        InputError: a number is too small, or the folder holds something or cannot be written.
    """
    if min(users, items) < _SHARE or rows < 1:
        raise InputError(
            f"it takes {_SHARE} users, {_SHARE} videos and 1 row at least. Received: {users}, {items}, {rows}"
        )
    with new_folder(folder) as whole:
        world = World.draw(users, items, seed)
        few_users, few_items = np.arange(users // _SHARE), np.arange(items // _SHARE)
        pairs = np.repeat(few_users, len(few_items)), np.tile(few_items, len(few_users))
        _write(whole / "small_matrix.csv", _matrix(world, *pairs, "small"))
        numbers = np.arange(rows)
        rank = np.argsort(-world.popularity)
        video = rank[_planted.by_power_law(world.random.uniform("big video", numbers), items, 0.7)]
        user = (world.random.uniform("big user", numbers) * users).astype(np.int64)
        _write(whole / "big_matrix.csv", _matrix(world, user, video, "big"))
        _write(whole / "user_features.csv", _users(world))
        lists = [f"[{number}, {number % 5}]" if number % 3 else f"[{number}]" for number in world.category.tolist()]
        _write(whole / "item_categories.csv", {"video_id": np.arange(1, items + 1), "feat": lists})
        _write(whole / "item_daily_features.csv", _daily(world))
        Truth.of(world).save(whole)


def _write(path: Path, columns: Mapping[str, Any]) -> None:
    pyarrow.csv.write_csv(pa.table(dict(columns)), str(path), pyarrow.csv.WriteOptions(quoting_style="needed"))


def _matrix(world: World, user: np.ndarray, item: np.ndarray, name: str) -> dict[str, Any]:
    """The official columns of a matrix, in the order of users and times."""
    random, numbers = world.random, np.arange(len(user))
    twice = random.uniform(f"{name} watched", numbers) < expit(world.log_odds(user, item))
    within = random.uniform(f"{name} ratio", numbers)
    ratio = np.round(np.where(twice, 2 + 3 * within, 1.999 * within), 6)
    time = np.round(MIDNIGHT + random.uniform(f"{name} time", numbers) * _DAYS * _DAY, 3)
    lost = random.uniform(f"{name} lost", numbers) < _WITHOUT_TIME
    duration = (5_000 + random.uniform("duration", item) * 60_000).astype(np.int64)
    order = np.lexsort((time, user))
    moments = pa.array((time[order] * 1000).astype(np.int64), pa.timestamp("ms"))
    return {
        "user_id": user[order] + 1,
        "video_id": item[order] + 1,
        "play_duration": (duration * ratio).astype(np.int64)[order],
        "video_duration": duration[order],
        "time": pa.array([None if gone else str(moment) for moment, gone in zip(moments, lost[order], strict=True)]),
        "date": pa.array(20_200_704 + numbers % 20, mask=lost[order]),
        "timestamp": pa.array(time[order], mask=lost[order]),
        "watch_ratio": ratio[order],
    }


def _users(world: World) -> dict[str, Any]:
    users = np.arange(len(world.age))
    levels = ("high_active", "full_active", "middle_active", "UNKNOWN")
    known = {
        "user_active_degree": [levels[number % 4] for number in users.tolist()],
        "is_lowactive_period": np.zeros(len(users), np.int64),
        "is_live_streamer": np.where(users % 9 == 0, -124, 0),
        "is_video_author": world.gender,
        "follow_user_num_range": [f"({number * 50},{number * 50 + 50}]" for number in world.country.tolist()],
        "fans_user_num_range": [f"[{number * 10},{number * 10 + 10})" for number in world.segment.tolist()],
        "friend_user_num_range": ["0"] * len(users),
        "register_days_range": [AGES[number] for number in world.age.tolist()],
    }
    drawn = {
        name: pa.array((world.random.uniform(name, users) * 6).astype(np.int64), mask=users % 50 == place)
        for place, name in enumerate(USER)
        if name not in known
    }
    return {"user_id": users + 1, **known, **drawn}


def _daily(world: World) -> dict[str, Any]:
    """Two days of each video; the counts of the second are larger."""
    item = np.repeat(np.arange(len(world.category)), 2)
    day = np.tile([0, 1], len(world.category))
    return {
        "video_id": item + 1,
        "date": 20_200_704 + day,
        "author_id": world.brand[item],
        "video_type": ["NORMAL" if number % 20 else "AD" for number in item.tolist()],
        "upload_type": [f"Upload{number}" for number in np.clip(np.log(world.price[item]), 0, 6).astype(int).tolist()],
        "music_id": item * 7 % 101,
        "video_tag_id": world.category[item],
        "video_tag_name": [f'标签 "{number}", a' for number in world.category[item].tolist()],
        "show_cnt": 100 + 50 * day,
    }


def main(arguments: list[str]) -> None:
    """Run the command line.

    Raises:
        InputError: it is wrong, or the folder cannot be written.
    """
    parser = Parser(
        prog="python -m preprocess.generate kuairec", description="Write generated data in KuaiRec's layout."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write; must not exist")
    for size, default in (("users", 400), ("items", 800), ("rows", 40_000)):
        parser.add_argument(f"--{size}", type=positive, default=default, help=f"how many (default: {default})")
    parser.add_argument("--seed", type=random_seed, default=0, help="the same seed gives the same files (default: 0)")
    options = vars(parser.parse_args(arguments))
    folder = options.pop("folder")
    generate(folder, **options)
    print(f"{folder}: {options['users']} users, {options['items']} videos, {options['rows']} rows of the big matrix")
