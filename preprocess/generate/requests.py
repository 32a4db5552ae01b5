"""Generated requests of a cascade, as files of one's own data with a schema: `python -m preprocess.generate requests`.

Each request has its shown rows, with a click or none, and some candidates that each earlier stage has left, without a
label. What users like is in :mod:`preprocess.generate._request_world`, what the cascade shows in
:mod:`preprocess.generate._request_policy`; the truth is kept in `truth.npz` (:mod:`preprocess.generate.truth`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from preprocess.generate._folder import new_folder
from preprocess.generate._request_policy import BIASES, RETRIEVED, STAGES, Bias, Rows, log
from preprocess.generate._request_world import AGES, COUNTRIES, GENDERS, World
from preprocess.generate.truth import Truth
from prerank.errors import InputError
from prerank.terminal import Parser, positive, random_seed

MIDNIGHT = 1_767_571_200
"""2026-01-05 00:00:00 UTC, when the first day begins."""
_SCHEMA: dict[str, Any] = {
    "dataset": "requests",
    "files": {"rows": "rows.parquet", "users": "users.parquet", "items": "items.parquet"},
    "user_id": "user_id",
    "item_id": "item_id",
    "label": "click",
    "time": "time",
    "request": {"column": "request", "type": "int64"},
    "stage": {"column": "stage", "order": list(STAGES)},
    "static": ["age_group", "gender", "country", "segment", "item_id", "category", "brand"],
    "category": "category",
    "history": "clicked_before",
    "user_mean": "user_click_rate",
    "item_mean": "item_click_rate",
    "fields": {
        "user_id": {"side": "user", "type": "int64", "column": "user"},
        "age_group": {"side": "user"},
        "gender": {"side": "user"},
        "country": {"side": "user"},
        "segment": {"side": "user", "type": "int64"},
        "item_id": {"side": "item", "type": "int64", "column": "item"},
        "category": {"side": "item"},
        "brand": {"side": "item"},
        "price": {"side": "item", "kind": "dense"},
    },
}


def generate(
    folder: Path,
    *,
    requests: int = 20_000,
    users: int = 2_000,
    items: int = 3_000,
    exposure_bias: Bias = "mild",
    weights: bool = False,
    seed: int = 0,
) -> Rows:
    """Write rows, users and items in Parquet, schema.yaml and truth.npz into a new folder, whole or not at all.

    Args:
        folder: must not exist, or be empty.
        requests: how many, over 14 days.
        users: how many.
        items: how many, at least as many as are retrieved.
        exposure_bias: how much each stage prefers popular items, whatever users like.
        weights: give the rows a column `weight`: how many candidates of its request and stage a row stands for.
        seed: the same seed and numbers give the same bytes.

    Returns:
        What was logged.

    Raises:
        InputError: a number is too small, or the folder holds something or cannot be written.
    """
    if min(requests, users) < 1 or items < RETRIEVED:
        raise InputError(
            f"it takes 1 request, 1 user and {RETRIEVED} items at least. Received: {requests}, {users} and {items}"
        )
    if exposure_bias not in BIASES:
        raise InputError(f"exposure_bias is one of {', '.join(BIASES)}. Received: {exposure_bias!r}")
    with new_folder(folder) as whole:
        world = World.draw(users, items, seed)
        rows = log(world, requests, exposure_bias, seed)
        pq.write_table(_row_table(rows, weights), whole / "rows.parquet")
        pq.write_table(_user_table(world), whole / "users.parquet")
        pq.write_table(_item_table(world), whole / "items.parquet")
        schema = _SCHEMA | ({"weight": "weight"} if weights else {})
        (whole / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False), "utf-8")
        Truth.of(world).save(whole)
    return rows


def _row_table(rows: Rows, weights: bool) -> pa.Table:
    exposed = rows.click >= 0
    columns: dict[str, Any] = {
        "request": rows.request + 1,
        "stage": pa.DictionaryArray.from_arrays(pa.array(rows.stage - 1, pa.int8()), list(STAGES)),
        "user": rows.user + 1,
        "item": rows.item + 1,
        "position": pa.array(rows.position, pa.int64(), mask=~exposed),
        "time": rows.time + MIDNIGHT,
        "click": pa.array(rows.click, pa.int8(), mask=~exposed),
    }
    return pa.table(columns | ({"weight": rows.stands_for} if weights else {}))


def _user_table(world: World) -> pa.Table:
    return pa.table(
        {
            "user": np.arange(1, len(world.age) + 1),
            "age_group": pa.array(AGES).take(pa.array(world.age)),
            "gender": pa.array(GENDERS).take(pa.array(world.gender)),
            "country": pa.array(COUNTRIES).take(pa.array(world.country)),
            "segment": world.segment + 1,
        }
    )


def _item_table(world: World) -> pa.Table:
    return pa.table(
        {
            "item": np.arange(1, len(world.category) + 1),
            "category": [f"category {number + 1:02}" for number in world.category.tolist()],
            "brand": [f"brand {number + 1:02}" for number in world.brand.tolist()],
            "price": world.price,
        }
    )


def main(arguments: list[str]) -> None:
    """Run the command line.

    Raises:
        InputError: it is wrong, or the folder cannot be written.
    """
    parser = Parser(prog="python -m preprocess.generate requests", description="Write generated requests of a cascade.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write; must not exist")
    parser.add_argument("--requests", type=positive, default=20_000, help="how many requests (default: 20000)")
    parser.add_argument("--users", type=positive, default=2_000, help="how many users (default: 2000)")
    parser.add_argument("--items", type=positive, default=3_000, help="how many items (default: 3000)")
    parser.add_argument(
        "--exposure_bias", choices=list(BIASES), default="mild", help="how much each stage prefers popular items"
    )
    parser.add_argument(
        "--weights",
        action="store_true",
        help="write a column weight: how many candidates of its stage a row stands for",
    )
    parser.add_argument("--seed", type=random_seed, default=0, help="the same seed gives the same files (default: 0)")
    options = vars(parser.parse_args(arguments))
    rows = generate(options["folder"], **{name: value for name, value in options.items() if name != "folder"})
    shown = rows.click >= 0
    print(
        f"{options['folder']}: {options['requests']} requests, {len(shown)} rows, {int(shown.sum())} of them shown, "
        f"of which {rows.click[shown].mean():.1%} clicked"
    )
