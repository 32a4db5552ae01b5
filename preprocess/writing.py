"""Writes samples as Parquet, and measures what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import UNSEEN, FeatureSpec
from preprocess.engine import DuckDBEngine
from preprocess.samples import GROUP, ITEM_GROUP, LABEL, Samples
from preprocess.splits import PARTS, TRAIN

ROWS_PER_FILE = 131_072

_KINDS = {"sparse": pa.int32(), "sequence": pa.list_(pa.int32()), "dense": pa.float64()}
_OTHERS = {
    LABEL: pa.int8(),
    GROUP: pa.int32(),
    ITEM_GROUP: pa.int32(),
    "row": pa.int64(),
    "timestamp": pa.int64(),
}


def write_part(engine: DuckDBEngine, samples: Samples, place: int, folder: Path) -> list[Path]:
    """Write one part as `folder/part-NNNNN.parquet`: training rows in random order, others by row."""
    folder.mkdir()
    schema = pa.schema({field.name: _KINDS[field.kind] for field in samples.spec.fields} | _OTHERS)
    rows = samples.rows.filter(samples.rows.part == place)
    rows = rows.order_by(["shuffle", "row"] if place == TRAIN else ["row"]).select(schema.names)
    files = []
    for number, batch in enumerate(engine.batches(rows, ROWS_PER_FILE)):
        files.append(folder / f"part-{number:05}.parquet")
        pq.write_table(pa.Table.from_batches([batch]).cast(schema), files[-1])
    return files


def write_table(table: ir.Table, file: Path) -> None:
    """Write a small table as one file."""
    pq.write_table(table.to_pyarrow(), file)


def scaled(spec: FeatureSpec, files: Sequence[Path]) -> FeatureSpec:
    """The spec with mean and population standard deviation of each dense field over the files of a part.

    The sums run over the files in their order, so they are the same each time, on any engine.
    """
    fields = []
    for field in spec.fields:
        if field.kind == "dense":
            values = np.concatenate(
                [pq.read_table(file, columns=[field.name])[field.name].to_numpy() for file in files]
            )
            field = replace(field, mean=float(values.mean()), scale=float(values.std()) or 1.0)
        fields.append(field)
    return replace(spec, fields=tuple(fields))


def out_of_vocabulary(spec: FeatureSpec, files: Sequence[Path]) -> dict[str, float]:
    """By field, the share of a part's rows whose value is out of vocabulary; of sequences, the share of all elements.

    A hashed field has no such values.
    """
    names = [field.name for field in spec.fields if field.vocabulary and not field.hash_buckets]
    unseen, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for file in files:
        table = pq.read_table(file, columns=names)
        for name in names:
            column = table[name].combine_chunks()
            values = (column.flatten() if pa.types.is_list(column.type) else column).to_numpy(zero_copy_only=False)
            unseen[name] += int(np.count_nonzero(values == UNSEEN))
            total[name] += len(values)
    return {name: unseen[name] / total[name] if total[name] else 0.0 for name in names}


def measure(engine: DuckDBEngine, samples: Samples) -> dict[str, dict[str, Any]]:
    """By part: `rows`, `positives`, distinct `users` and `items`, `unseen_user_share` and `unseen_item_share`.

    The shares are of rows whose user or item has no training row, whatever the vocabularies hold.
    """
    rows = samples.rows.select("part", LABEL, GROUP, ITEM_GROUP)
    for key in (GROUP, ITEM_GROUP):
        seen = rows.filter(rows.part == TRAIN).select(**{f"seen_{key}": key}).distinct()
        joined = rows.left_join(seen, rows[key] == seen[f"seen_{key}"])
        rows = joined.select(*rows.columns, **{f"unseen_{key}": joined[f"seen_{key}"].isnull().cast("int64")})
    table = rows.group_by("part").agg(
        rows=rows.count(),
        positives=rows[LABEL].cast("int64").sum(),
        users=rows[GROUP].nunique(),
        items=rows[ITEM_GROUP].nunique(),
        unseen_user_rows=rows[f"unseen_{GROUP}"].sum(),
        unseen_item_rows=rows[f"unseen_{ITEM_GROUP}"].sum(),
    )
    found = {}
    for values in table.order_by("part").to_pyarrow().to_pylist():
        name = PARTS[values.pop("part")]
        for side in ("user", "item"):
            values[f"unseen_{side}_share"] = int(values.pop(f"unseen_{side}_rows")) / values["rows"]
        found[name] = {key: float(value) if key.endswith("share") else int(value) for key, value in values.items()}
    return found
