"""Raw data of each kind, what to prepare from it, and a comparison of all that two engines wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import taobao_files
import yaml
from conftest import Small
from request_rows import QUEUE, write_queue
from test_amazon import Shop
from test_own_data import MOVIES
from test_taobao import joined_line

from preprocess.amazon import Amazon, AmazonOptions
from preprocess.movielens import ADAPTER as MOVIELENS
from preprocess.options import DataOptions
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from preprocess.taobao import ADAPTER as TAOBAO

SHOP = {
    "dataset": "shop",
    "user_id": "who",
    "item_id": "what",
    "label": "bought",
    "time": {"column": "at", "unit": "ms"},
    "utc_offset": 5,
    "context": ["page", "load", "seen"],
    "history": "wanted",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "fields": {
        "who": {"side": "user"},
        "what": {"side": "item", "type": "int64"},
        "page": {"side": "user"},
        "load": {"side": "user", "kind": "dense"},
        "seen": {"side": "user", "kind": "sequence", "type": "int64", "vocabulary": "what"},
        "price": {"side": "item", "kind": "dense"},
        "tags": {"side": "item", "kind": "sequence"},
    },
}
"""A schema with numbers, lists, a context and a shared vocabulary; of :func:`write_shop`'s rows."""


def write_shop(folder: Path) -> Path:
    """Rows in Parquet with all that a value may be: missing, NaN, an empty list, one with a null, text that is odd."""
    random = np.random.default_rng(11)
    rows = 600
    what = random.integers(0, 15, rows)
    tags = {item: [["é", "日本", "", None][place] for place in range(item % 5)] for item in range(15)}
    seen = [None if place % 9 == 0 else random.integers(0, 20, place % 4).tolist() for place in range(rows)]
    table = pa.table(
        {
            "who": [f"ü{place}" if place % 3 else f"u{place} " for place in random.integers(0, 20, rows)],
            "what": what,
            "bought": random.random(rows) < 0.4,
            "at": random.integers(-2 * 86_400, 3 * 86_400, rows) * 1000 + 999,
            "page": [("ab'c\\", '"q"', None, "")[place] for place in random.integers(0, 4, rows)],
            "load": [(1.1, 2.7e-9, None, float("nan"), 1e15)[place] for place in random.integers(0, 5, rows)],
            "seen": pa.array(seen, pa.list_(pa.int64())),
            "price": [None if item % 4 == 3 else item / 7 for item in what.tolist()],
            "tags": pa.array([tags[item] for item in what.tolist()], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, folder / "rows.parquet", row_group_size=100)
    return folder / "rows.parquet"


def _schema(folder: Path, schema: dict[str, Any], path: Path) -> dict[str, Any]:
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False))
    return {"schema": folder / "schema.yaml", "data_path": path}


def write_joined_taobao(folder: Path) -> Path:
    """The joined layout without a header, whose behaviours are columns."""
    users = [*range(1, 31)] * 4
    lines = [joined_line(user, place % 9 + 1, place % 2, filled=user % 4 + 1) for place, user in enumerate(users)]
    taobao_files.write(folder / "alimama_sampled_train.txt", "", lines)
    return folder


def _raw(folder: Path, small: Small) -> dict[str, Callable[[], dict[str, Any]]]:
    """What each kind of data is prepared from, once its files are written."""
    shop, tiny = Shop(small), taobao_files.make()
    without_label = {key: value for key, value in MOVIES.items() if key != "label"}
    return {
        "ml-1m": lambda: {"data_path": small.write_ml_1m(folder)},
        "ml-100k": lambda: {"data_path": small.write_ml_100k(folder)},
        "joined": lambda: {"data_path": small.write_joined(folder / "joined.csv")},
        "taobao": lambda: {"data_path": tiny.write(folder)},
        "taobao-gz": lambda: {"data_path": taobao_files.without_log(tiny).write(folder, suffix=".gz")},
        "taobao-clicks": lambda: {"data_path": tiny.write_clicks(folder)},
        "taobao-joined": lambda: {"data_path": write_joined_taobao(folder)},
        "amazon": lambda: {"data_path": shop.write(folder, products="literal")},
        "amazon-ratings": lambda: {"data_path": shop.write(folder, reviews="ratings", suffix=".gz")},
        "amazon-csv": lambda: {"data_path": shop.write_joined(folder / "reviews.csv", as_paths=True)},
        "own-csv": lambda: _schema(folder, MOVIES, small.write_joined(folder / "joined.csv")),
        "own-positives": lambda: _schema(folder, without_label, small.write_joined(folder / "joined.csv")),
        "own-requests": lambda: _schema(folder, QUEUE, write_queue(folder)),
        "own-parquet": lambda: _schema(folder, SHOP, write_shop(folder)),
    }


_KINDS = {
    "taobao": (TAOBAO, DataOptions),
    "amazon": (Amazon(), AmazonOptions),
    "own": (NoSchema(), OwnDataOptions),
}


@dataclass(frozen=True)
class Case:
    """What to prepare: a kind of data, and options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.kind, *(f"{name}={value}" for name, value in self.options.items())])

    def prepare(self, folder: Path, small: Small, *engines: str) -> list[PreparedData]:
        """The same raw data by each engine."""
        (folder / "raw").mkdir()
        asked = _raw(folder / "raw", small)[self.kind]() | self.options
        return [self._prepare(engine, folder / engine, asked) for engine in engines]

    def _prepare(self, engine: str, out: Path, asked: dict[str, Any]) -> PreparedData:
        adapter, options = _KINDS.get(self.kind.split("-")[0], (MOVIELENS, DataOptions))
        return prepare(adapter, options(prepared_dir=out, engine=engine, **asked), lambda line: None)


def assert_same(found: PreparedData, expected: PreparedData) -> None:
    """Every file of both is the same, row by row and column by column."""
    files = {path.relative_to(expected.path) for path in expected.path.rglob("*") if path.is_file()}
    assert {path.relative_to(found.path) for path in found.path.rglob("*") if path.is_file()} == files
    assert json.loads((found.path / "manifest.json").read_text()) == expected.manifest
    assert found.path.name == expected.path.name
    for name in sorted(files - {Path("manifest.json")}):
        one, other = pq.read_table(found.path / name), pq.read_table(expected.path / name)
        assert one.schema.equals(other.schema), name
        for column in one.column_names:
            # as texts, of which NaN equals NaN
            assert repr(one[column].to_pylist()) == repr(other[column].to_pylist()), (name, column)
