"""Generated data in RecFlow's layout, with the planted preferences of generated requests.

An effective view is what a click is there: `truth.npz` has its probability at the first place. Ids begin with 1. The
province stands for the segment, the author for the brand, and the categories for the category.
"""

from __future__ import annotations

import datetime
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather

from preprocess.generate._folder import new_folder
from preprocess.generate._request_policy import DAY, DAYS, Bias, Rows, log
from preprocess.generate._request_world import World
from preprocess.generate.requests import check_sizes, run_command
from preprocess.generate.truth import Truth
from preprocess.generated import MARKER, MARKER_TEXT

FIRST_DAY = datetime.date(2024, 1, 13)
_SHANGHAI = 8 * 3600
_LENGTH, _WIDTH = 50, 10
_BATCH = 1 << 16
_RERANKED = 2
"""How many of a request's candidates that were ranked and not shown, out of 5, ranked among the first."""


def generate(
    folder: Path,
    *,
    requests: int = 5_000,
    users: int = 500,
    items: int = 1_000,
    exposure_bias: Bias = "mild",
    seed: int = 0,
) -> Rows:
    """Write all_stage, realshow and seq_effective_50_dict of 14 days, and truth.npz, into a new folder.

    Args:
        folder: must not exist, or be empty.
        requests: how many.
        users: how many.
        items: how many videos.
        exposure_bias: how much each stage prefers popular videos.
        seed: the same seed and numbers give the same bytes.

    Returns:
        What was logged.

    Raises:
        InputError: a number is too small, or the folder holds something or cannot be written.
    """
    check_sizes(requests, users, items, exposure_bias)
    with new_folder(folder) as whole:
        world = World.draw(users, items, seed)
        rows = log(world, requests, exposure_bias, seed)
        columns = _columns(world, rows)
        sequences = _sequences(rows, columns)
        day = rows.time // DAY
        for name in ("all_stage", "realshow", "seq_effective_50_dict"):
            (whole / name).mkdir()
            (whole / name / MARKER).write_text(MARKER_TEXT, "utf-8")
        for number in range(DAYS):
            date = (FIRST_DAY + datetime.timedelta(days=number)).isoformat()
            for name, chosen in (("all_stage", day == number), ("realshow", (day == number) & (rows.stage == 4))):
                table = pa.table({column: values[chosen] for column, values in columns.items()})
                pyarrow.feather.write_feather(table, str(whole / name / f"{date}.feather"), chunksize=_BATCH)
            of_day = {
                request: sequences[request] for request in np.unique(columns["request_id"][day == number]).tolist()
            }
            (whole / "seq_effective_50_dict" / f"{date}.pkl").write_bytes(pickle.dumps(of_day, protocol=4))
        Truth.of(world).save(whole)
    return rows


def _columns(world: World, rows: Rows) -> dict[str, np.ndarray]:
    """The official columns of `all_stage`."""
    midnight = int(datetime.datetime.combine(FIRST_DAY, datetime.time(), datetime.UTC).timestamp()) - _SHANGHAI
    user, item, random = rows.user, rows.item, world.random
    shown = rows.stage == 4
    within = np.arange(len(user)) - np.searchsorted(rows.request, rows.request)
    ranked = rows.stage == 3
    first = ranked & (within < within[ranked].min() + _RERANKED)
    upload = midnight - (random.uniform("upload", item) * 30 * DAY).astype(np.int64)
    duration = (5_000 + random.uniform("duration", item) * 60_000).astype(np.int64)
    liked = np.maximum(rows.click, 0)
    watched = np.where(liked == 1, 0.3 + random.uniform("watched", np.arange(len(user))), 0.1)
    columns: dict[str, Any] = {
        "request_id": rows.request + 1,
        "request_timestamp": (rows.time + midnight) * 1000 + 7,
        "user_id": user + 1,
        "device_id": user + 1,
        "age": world.age[user],
        "gender": world.gender[user],
        "province": world.segment[user],
        "video_id": item + 1,
        "author_id": world.brand[item],
        "category_level_one": world.category[item] // 4,
        "category_level_two": world.category[item],
        "upload_type": np.clip(np.log(world.price[item]).astype(np.int64), 0, 6),
        "upload_timestamp": upload,
        "duration": duration,
        "realshow": shown,
        "rerank_pos": shown,
        "rerank_neg": first,
        "rank_pos": shown | first,
        "rank_neg": ranked & ~first,
        "coarse_neg": rows.stage == 2,
        "prerank_neg": rows.stage == 1,
        "rank_index": np.where(shown | ranked, within + 1, 0),
        "rerank_index": np.where(shown | first, within + 1, 0),
        "playing_time": np.where(shown, duration * watched, 0),
        "effective_view": liked,
        "long_view": shown & (watched >= 1),
        **{name: np.zeros(len(user)) for name in ("like", "follow", "forward", "comment")},
    }
    return {name: values.astype(np.int64) for name, values in columns.items()}


def _sequences(rows: Rows, columns: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    """By request the last 50 effective views of its user before it, oldest first, after rows of zeros."""
    names = [
        *("video_id", "author_id", "category_level_two", "category_level_one", "upload_type", "upload_timestamp"),
        *("duration", "request_timestamp", "playing_time", "request_id"),
    ]
    table = np.stack([columns[name] for name in names], axis=1)
    starts = np.flatnonzero(np.diff(rows.request, prepend=-1))
    seen: dict[int, list[np.ndarray]] = defaultdict(list)
    waiting: list[tuple[int, int, np.ndarray]] = []
    found = {}
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(rows.user)], strict=True):
        user, time = int(rows.user[start]), int(rows.time[start])
        for _, owner, views in [entry for entry in waiting if entry[0] < time]:
            seen[owner] = [*seen[owner], *views][-_LENGTH:]
        waiting = [entry for entry in waiting if entry[0] >= time]
        sequence = np.zeros((_LENGTH, _WIDTH), np.int64)
        if seen[user]:
            sequence[-len(seen[user]) :] = seen[user]
        found[int(columns["request_id"][start])] = sequence
        viewed = table[start:end][columns["effective_view"][start:end] == 1]
        waiting.append((time, user, viewed))
    return found


def main(arguments: list[str]) -> None:
    """Run the command line.

    Raises:
        InputError: it is wrong, or the folder cannot be written.
    """
    run_command("recflow", "Write generated data in RecFlow's layout.", generate, arguments)
