"""Rows of weight 0 count for nothing, and the floor sees what other models see."""

import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from request_data import requests_data  # noqa: F401

from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.config import parse
from training.evaluation import floor
from training.trainer import train


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_class_whose_rows_have_no_weight_is_missing(requests_data, tmp_path, part):  # noqa: F811
    shutil.copytree(requests_data.path, tmp_path / "data")
    (place,) = (tmp_path / "data" / part).iterdir()
    table = pq.read_table(place)
    labels, weights = (table[name].to_numpy() for name in (requests_data.spec.label, "weight"))
    column = pa.array(np.where(labels == 0, 0, weights), pa.float32())
    pq.write_table(table.set_column(table.schema.get_field_index("weight"), "weight", column), place)
    positives = int((labels == 1).sum())
    counted = f"{positives} positives in {positives} rows with a label and a weight above 0$"
    message = f"the {part} part needs positives and negatives. Received: {counted}"
    flags = ["--model_name", "lr", "--output_dir", str(tmp_path / "runs")]
    with pytest.raises(InputError, match=message):
        train(parse(flags, program="x", description="x"), PreparedData.open(tmp_path / "data"), lambda _: None)
    assert not (tmp_path / "runs").exists()


def test_the_floor_sees_no_privileged_mean(requests_data):  # noqa: F811
    spec = requests_data.spec
    assert floor(requests_data) is not None
    hidden = dataclasses.replace(spec, privileged=(*spec.privileged, spec.item_mean))
    assert floor(dataclasses.replace(requests_data, spec=hidden)) is None
