"""The three layouts of the same data give the same samples."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare


def prepared_from(data_path, folder):
    return prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=folder), report=lambda line: None)


def catalogue(prepared):
    return pq.read_table(prepared.catalogue).to_pylist()


def test_labels_and_raw_values(small, prepared, samples):
    rows = samples(prepared())
    assert rows.keys() == {row for row, values in enumerate(small.ratings) if values[2] != 3}
    assert all(sample["label"] == (small.ratings[row][2] > 3) for row, sample in rows.items())
    seen = [(row, sample) for row, sample in rows.items() if sample["user_id"] != "unseen"]
    for row, sample in seen:
        user = small.ratings[row][0]
        assert (sample["user_id"], sample["gender"], sample["age"], sample["occupation"]) == (user, *small.users[user])
    for row, sample in rows.items():
        if sample["movie_id"] != "unseen":
            assert sample["movie_id"] == small.ratings[row][1]
            assert tuple(sample["genres"]) == small.movies[sample["movie_id"]][1]


def test_groups_number_the_users_and_items_that_have_a_row(small, prepared, samples):
    rows = samples(prepared())
    for place, name in ((0, "group"), (1, "item_group")):
        numbers = {key: number for number, key in enumerate(sorted({small.ratings[row][place] for row in rows}))}
        assert all(sample[name] == numbers[small.ratings[row][place]] for row, sample in rows.items())


@pytest.mark.parametrize("suffix", [".gz", "crlf", "no last newline", "blank last lines"])
def test_other_ways_to_write_the_same_lines(small, prepared, samples, tmp_path, suffix):
    folder = small.write_ml_1m(tmp_path / "raw", suffix=suffix if suffix == ".gz" else "")
    if suffix != ".gz":
        for file in folder.iterdir():
            text = file.read_bytes().rstrip(b"\n")
            text = text.replace(b"\n", b"\r\n") + b"\r\n" if suffix == "crlf" else text
            file.write_bytes(text + (b"\n\n\n" if suffix == "blank last lines" else b""))
    other = prepared_from(folder, tmp_path)
    assert samples(other) == samples(prepared())
    assert catalogue(other) == catalogue(prepared())
    assert other.fingerprint != prepared().fingerprint


def test_ml_100k(small, prepared, samples, tmp_path):
    other = prepared_from(small.write_ml_100k(tmp_path / "raw"), tmp_path)
    assert other.spec["occupation"].raw_type == "string"
    as_text = {row: sample | {"occupation": str(sample["occupation"])} for row, sample in samples(prepared()).items()}
    assert samples(other) == as_text
    assert catalogue(other) == catalogue(prepared())


def test_ml_100k_without_its_list_of_genres(small, tmp_path):
    folder = small.write_ml_100k(tmp_path / "raw")
    with_list = prepared_from(folder, tmp_path)
    (folder / "u.genre").unlink()
    assert catalogue(prepared_from(folder, tmp_path)) == catalogue(with_list)


@pytest.mark.parametrize("name", ["joined.csv", "joined.csv.gz"])
def test_joined_csv(small, prepared, samples, tmp_path, name):
    import gzip

    path = small.write_joined(tmp_path / "joined.csv")
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    other = prepared_from(tmp_path / name, tmp_path)
    assert samples(other) == samples(prepared())
    rated = {movie for _, movie, *_ in small.ratings}
    assert catalogue(other) == [item for item in catalogue(prepared()) if item["movie_id"] in rated]


def test_joined_csv_with_other_columns_in_another_order(small, prepared, samples, tmp_path):
    import pandas as pd

    table = pd.read_csv(small.write_joined(tmp_path / "joined.csv"), dtype=str)
    table = table[table.columns[::-1]].assign(extra="x, y")
    table.to_csv(tmp_path / "other.csv", index=False)
    assert samples(prepared_from(tmp_path / "other.csv", tmp_path)) == samples(prepared())


def test_real_ml_100k(real_data, tmp_path):
    found = prepared_from(real_data / "movielens-100k", tmp_path)
    assert [found.rows(part) for part in ("train", "validation", "test")] == [58_285, 7_285, 7_285]
    items = catalogue(found)
    assert len(items) == 1_682
    assert items[0]["genres"] == ["Animation", "Children's", "Comedy"]
    assert np.isfinite([item["item_mean_rating"] for item in items]).all()
