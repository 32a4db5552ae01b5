"""Rows without a label in data that have nothing else beside their fields."""

import numpy as np
import pandas as pd
import pytest
import yaml

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.config import parse
from training.objective_setup import prepared_training
from training.trainer import train

ROWS = 600
SCHEMA = {
    "dataset": "partly",
    "user_id": "who",
    "item_id": "what",
    "label": {"column": "click", "optional": True},
    "time": "at",
    "fields": {"who": {"side": "user", "type": "int64"}, "what": {"side": "item", "type": "int64"}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("partly"), np.random.default_rng(0)
    labels = np.where(random.random(ROWS) < 0.4, np.nan, random.integers(0, 2, ROWS))
    who, what = random.integers(0, 30, ROWS), random.integers(0, 20, ROWS)
    pd.DataFrame({"who": who, "what": what, "at": np.arange(ROWS), "click": labels}).to_parquet(folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA))
    options = OwnDataOptions(
        schema=folder / "schema.yaml", data_path=folder / "rows.parquet", prepared_dir=folder / "out", min_count=1
    )
    return prepare(NoSchema(), options, lambda _: None)


def config(place, *argv):
    flags = ["--model_name", "lr", "--epoch", "1", "--output_dir", str(place), *argv]
    return parse(flags, program="train.py", description="Train.")


def test_rows_without_a_label_are_left_out_of_the_loss(data, tmp_path):
    assert not data.spec.row_columns
    assert data.labelled("train") < data.rows("train")
    metrics = train(config(tmp_path), data, lambda _: None).metrics
    assert metrics["status"] == "finished"
    assert 0 < metrics["validation"]["logloss"] < 2


def test_they_cannot_be_compiled(data, tmp_path):
    with pytest.raises(InputError, match="^--jit cannot compile batches with rows without a label"):
        train(config(tmp_path, "--jit"), data, lambda _: None)


def test_items_of_the_batch_whose_fields_never_change_are_not_encoded_twice(data, tmp_path):
    flags = ["--candidates_per_row", "2", "--candidates_from", "batch"]
    batches, _ = prepared_training(config(tmp_path, *flags), data)
    rows = next(iter(batches.epoch(0)))
    found = batches.assembly(rows, (0, 0, 0, 0))
    assert len(found.integers) == 0
    assert len(found.items) == 3 * len(rows[0])
    assert (found.items < len(rows[0])).all()
