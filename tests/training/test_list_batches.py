"""Lists of a user of whom two files have rows."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from request_data import requests_data  # noqa: F401

from preprocess.prepared import PreparedData
from training.config import parse
from training.list_batches import numbered_by_file
from training.objective_setup import prepared_training
from training.row_keys import RowKeys


def test_numbers_are_others_in_each_file():
    found = numbered_by_file(np.array([0, 2, 0, 2, 2, 1]), [3, 0, 3])
    assert len(set(found.tolist())) == 4
    assert found[0] == found[2]
    assert found[3] == found[4]


def test_a_user_s_rows_of_two_files_are_two_lists_of_one_batch(requests_data, tmp_path):  # noqa: F811
    shutil.copytree(requests_data.path, tmp_path / "data")
    (place,) = (tmp_path / "data" / "train").iterdir()
    whole = pq.read_table(place)
    only = whole.filter(pa.array(whole["group"].to_numpy() == whole["group"][0].as_py()))
    rest = whole.filter(pa.array(whole["group"].to_numpy() != whole["group"][0].as_py()))
    half = len(only) // 2
    pq.write_table(only.slice(0, half), place)
    pq.write_table(pa.concat_tables([only.slice(half), rest]), place.with_name("part-00001.parquet"))
    data = PreparedData.open(tmp_path / "data")
    flags = ["--model_name", "dssm", "--list_by", "user", "--list_size", "1000", "--batch_size", "10000"]
    batches, _ = prepared_training(parse(flags, program="x", description="x"), data)
    users = RowKeys.read(data).users
    for number in range(30):  # in some epochs the two lists follow each other
        (rows,) = batches.epoch(number)
        found = batches.assembly(rows, (0, number, 0, 0))
        places = rows[0][:, -1]
        lists = [places[row[row >= 0]] for row in found.lists]
        assert len(lists) == 1 + len(set(users.tolist()))
        assert all(len({bool(place < half) for place in row}) == 1 for row in lists)
