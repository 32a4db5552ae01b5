"""The table that training speeds are measured on: 12 sparse fields, a history of 50, 1.16 M embedding rows."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import RESERVED, FeatureSpec, Field
from preprocess.prepared import FORMAT_VERSION, MANIFEST, PreparedData
from preprocess.writing import ROWS_PER_FILE

Ids = Literal["zipf", "uniform"]

HISTORY = 50
_USER = {"user_id": 500_000, "city": 100_000, "phone": 20_000, "job": 5_000, "age": 1_000, "level": 1_000}
_ITEM = {"item_id": 300_000, "seller": 150_000, "brand": 50_000, "shop": 20_000, "category": 10_000, "price": 3_000}


def _spec() -> FeatureSpec:
    user = [Field(name, "user", "sparse", "int64", name, rows) for name, rows in _USER.items()]
    item = [Field(name, "item", "sparse", "int64", name, rows) for name, rows in _ITEM.items()]
    history = Field("history", "user", "sequence", "int64", "item_id", _ITEM["item_id"], max_length=HISTORY)
    return FeatureSpec(
        dataset="throughput",
        fields=(*user, history, *item),
        user_id="user_id",
        item_id="item_id",
        user_static=tuple(name for name in _USER if name != "user_id"),
        item_static=tuple(_ITEM),
        history="history",
        category="category",
    )


def _draw(rng: np.random.Generator, ids: Ids, size: int, vocabulary: int) -> np.ndarray:
    """Indices of a vocabulary: uniform, or with the density of a power law of exponent 1."""
    share = rng.random(size, np.float32)
    values = vocabulary - RESERVED
    rank = share * values if ids == "uniform" else np.exp(share * np.log(values + 1)) - 1
    return (RESERVED + np.minimum(rank, values - 1)).astype(np.int32)


def _rows(spec: FeatureSpec, ids: Ids, rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {}
    for field in spec.fields:
        flat = _draw(rng, ids, rows * (field.max_length or 1), field.vocabulary_size)
        if field.kind == "sequence":
            offsets = np.arange(rows + 1, dtype=np.int32) * field.max_length
            columns[field.name] = pa.ListArray.from_arrays(offsets, flat)
        else:
            columns[field.name] = flat
    # The label follows two ids, so that there is something to learn.
    odds = 1 / (1 + np.exp(-((columns["age"] % 7) - (columns["category"] % 5) - 1.0)))
    columns["label"] = (rng.random(rows) < odds).astype(np.int8)
    columns["group"] = columns["user_id"]
    columns["item_group"] = columns["item_id"]
    columns["row"] = np.arange(rows, dtype=np.int64)
    columns["timestamp"] = np.arange(rows, dtype=np.int64)
    return pa.table(columns)


def build(folder: Path, ids: Ids, rows: int, validation_rows: int) -> PreparedData:
    """Write the table to `folder` as a prepared data set, unless it is there."""
    if (folder / MANIFEST).exists():
        return PreparedData.open(folder)
    spec = _spec()
    parts = {}
    for number, (part, size) in enumerate({"train": rows, "validation": validation_rows, "test": 1_000}.items()):
        (folder / part).mkdir(parents=True)
        table = _rows(spec, ids, size, number)
        for index, start in enumerate(range(0, size, ROWS_PER_FILE)):
            pq.write_table(table.slice(start, ROWS_PER_FILE), folder / part / f"part-{index:05}.parquet")
        parts[part] = {"rows": size, "positives": int(table["label"].to_numpy().sum())}
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "fingerprint": ids,
        "notes": [],
        "spec": spec.to_dict(),
        "training_mean_label": parts["train"]["positives"] / rows,
        "parts": parts,
        "out_of_vocabulary": {},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return PreparedData.open(folder)
