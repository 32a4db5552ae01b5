"""Vocabularies, unseen and missing values, and the scaling of dense columns."""

import collections
import dataclasses

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field
from preprocess import vocabulary
from preprocess.movielens import ADAPTER
from preprocess.names import WEIGHT
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank import hashed_ids


def column(prepared, part, name):
    return pa.concat_tables(pq.read_table(file, columns=[name]) for file in prepared.parts(part))[name].to_numpy()


def values_of(small, rows, name):
    users = {small.ratings[row][0] for row in rows}
    movies = {small.ratings[row][1] for row in rows}
    return sorted(
        {
            "user_id": users,
            "gender": {small.users[user][0] for user in users},
            "age": {small.users[user][1] for user in users},
            "occupation": {small.users[user][2] for user in users},
            "movie_id": movies,
            "genres": {genre for movie in movies for genre in small.movies[movie][1]},
        }[name]
    )


@pytest.mark.parametrize("leak", ["none", "encoders"])
@pytest.mark.parametrize("split", ["time", "user_time", "random"])
def test_come_from_the_training_part_alone_unless_leaked(small, prepared, samples, split, leak):
    found = prepared(split=split, leak=(leak,))
    rows = samples(found)
    learnt = [row for row, sample in rows.items() if leak == "encoders" or sample["part"] == "train"]
    for name, size in found.spec.tables.items():
        assert found.vocabulary(name).tolist() == values_of(small, learnt, name)
        assert size == RESERVED + len(found.vocabulary(name))
    held_out = [sample for sample in rows.values() if sample["part"] != "train"]
    unseen = [sample for sample in held_out if "unseen" in (sample["user_id"], sample["movie_id"])]
    assert not (unseen and leak == "encoders")
    assert unseen or (split, leak) != ("time", "none")


def test_the_manifest_counts_rows_of_unseen_users_and_items(small, prepared, samples):
    for leak in ("none", "encoders"):
        found = prepared(leak=(leak,))
        rows = samples(found)
        for part in ("train", "validation", "test"):
            mine = [row for row, sample in rows.items() if sample["part"] == part]
            stats = found.manifest["parts"][part]
            assert stats["rows"] == found.rows(part) == len(mine)
            assert stats["positives"] == sum(rows[row]["label"] for row in mine)
            for place, name in ((0, "user"), (1, "item")):
                keys = [small.ratings[row][place] for row in mine]
                seen = {small.ratings[row][place] for row, sample in rows.items() if sample["part"] == "train"}
                assert stats[f"{name}s"] == len(set(keys))
                assert stats[f"unseen_{name}_share"] == pytest.approx(sum(key not in seen for key in keys) / len(keys))
    assert found.manifest["parts"]["test"]["unseen_user_share"] > 0


def test_missing_and_unseen_values(small, tmp_path):
    users = dict(small.users)
    users[38] = ("", -1, "")
    users[39] = ("X", 99, -1)
    movies = dict(small.movies)
    movies[3] = (movies[3][0], ())
    data_path = dataclasses.replace(small, users=users, movies=movies).write_ml_1m(tmp_path / "raw")
    found = prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=tmp_path), report=lambda line: None)
    assert found.vocabulary("gender").tolist() == ["F", "M"]
    assert -1 not in found.vocabulary("occupation")
    rows = {}
    for part in ("train", "validation", "test"):
        for row in pa.concat_tables(pq.read_table(file) for file in found.parts(part)).to_pylist():
            rows[row["row"]] = row | {"part": part}
    late = [rows[row] for row, values in enumerate(small.ratings) if values[0] == 38 and row in rows]
    other = [rows[row] for row, values in enumerate(small.ratings) if values[0] == 39 and row in rows]
    bare = [rows[row] for row, values in enumerate(small.ratings) if values[1] == 3 and row in rows]
    assert {row["part"] for row in late + other} <= {"validation", "test"}
    assert all((row["gender"], row["age"], row["occupation"]) == (MISSING,) * 3 for row in late)
    assert all((row["gender"], row["age"], row["occupation"]) == (UNSEEN, UNSEEN, MISSING) for row in other)
    assert all(row["genres"] == [] for row in bare)
    assert late
    assert other
    assert bare
    catalogue = {item["movie_id"]: item for item in pq.read_table(found.catalogue).to_pylist()}
    assert not catalogue[3]["genres"]


def test_indices_follow_the_sorted_values(prepared):
    for name in prepared().spec.tables:
        values = prepared().vocabulary(name).tolist()
        assert values == sorted(values)


@pytest.mark.parametrize(("options", "part"), [({}, "train"), ({"leak": ("scaler",)}, "test")])
def test_dense_columns_are_scaled_by_the_training_part_unless_leaked(prepared, options, part):
    found = prepared(**options)
    for field in found.spec.fields:
        if field.kind == "dense":
            values = column(found, part, field.name)
            assert field.mean == pytest.approx(values.mean(), abs=1e-12)
            assert field.scale == pytest.approx(values.std(), abs=1e-12)
            assert field.default == found.manifest["training_mean_label"]


def test_types_on_disk(prepared):
    schema = pq.read_schema(prepared().parts("train")[0])
    expected = {
        **dict.fromkeys(("user_id", "gender", "age", "occupation", "movie_id", "group", "item_group"), pa.int32()),
        **dict.fromkeys(("user_mean_rating", "item_mean_rating"), pa.float64()),
        **dict.fromkeys(("user_hist", "genres"), pa.list_(pa.int32())),
        **dict.fromkeys(("row", "timestamp"), pa.int64()),
        "label": pa.int8(),
    }
    assert {field.name: field.type for field in schema} == expected
    assert prepared().spec["user_hist"].max_length == 50
    assert prepared().spec["genres"].max_length == 3
    for part in ("train", "validation", "test"):
        table = pa.concat_tables(pq.read_table(file) for file in prepared().parts(part))
        assert all(table[name].null_count == 0 for name in table.column_names)
        assert max(map(len, column(prepared(max_history=2), part, "user_hist"))) <= 2
    assert np.issubdtype(prepared().vocabulary("age").dtype, np.int64)


def test_values_in_few_training_rows_are_out_of_vocabulary(small, prepared, samples):
    found = prepared(min_count=12)
    rows = samples(found)
    counts = collections.Counter()
    for row, sample in rows.items():
        if sample["part"] == "train":
            user, movie = small.ratings[row][:2]
            counts["user_id", user] += 1
            counts["movie_id", movie] += 1
            for genre in small.movies[movie][1]:
                counts["genres", genre] += 1
    for name in ("user_id", "movie_id", "genres"):
        assert found.vocabulary(name).tolist() == sorted(
            value for (field, value), count in counts.items() if field == name and count >= 12
        )
    assert len(found.vocabulary("movie_id")) < len(prepared().vocabulary("movie_id"))
    tested = [sample for sample in rows.values() if sample["part"] == "test"]
    shares = found.manifest["out_of_vocabulary"]
    assert shares["movie_id"] == sum(sample["movie_id"] == "unseen" for sample in tested) / len(tested) > 0
    history = [movie for sample in tested for movie in sample["user_hist"]]
    assert shares["user_hist"] == history.count("unseen") / len(history) > 0


def test_fields_of_many_values_are_hashed(small, prepared):
    found = prepared(hash_buckets=20)
    hashed = {field.name for field in found.spec.fields if field.hash_buckets}
    assert hashed == {"user_id", "movie_id", "user_hist"}
    assert found.spec.tables == prepared().spec.tables | {"user_id": 22, "movie_id": 22}
    assert found.spec["genres"].hash_buckets == 0
    assert {"user_id", "movie_id", "user_hist"}.isdisjoint(found.manifest["out_of_vocabulary"])
    for part in ("train", "test"):
        for row, user, movie in zip(
            *(column(found, part, name) for name in ("row", "user_id", "movie_id")), strict=True
        ):
            assert [user, movie] == [RESERVED + hashed_ids.hashed(value) % 20 for value in small.ratings[row][:2]]
    for name, values in (("user_id", small.users), ("movie_id", small.movies)):
        for bucket, value in enumerate(found.vocabulary(name).tolist()):
            inside = [value for value in values if hashed_ids.hashed(value) % 20 == bucket]
            assert value == min(inside, default=-1)
    assert FeatureSpec.from_dict(found.spec.to_dict()) == found.spec


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["int64", "string"]),
    known=st.lists(st.integers(-3, 9), max_size=12),
    asked=st.lists(st.one_of(st.none(), st.integers(-3, 9)), max_size=12),
    min_count=st.integers(1, 2),
    texts=st.lists(_TEXTS, min_size=13, max_size=13, unique=True),
)
def test_a_vocabulary_gives_back_what_it_was_given(engine, kind, known, asked, min_count, texts):
    """Every known value has an index of its own, in the order of values, and the index leads back to it."""
    values = dict(zip(range(-3, 10), texts if kind == "string" else range(-3, 10), strict=True))
    raw = pa.int64() if kind == "int64" else pa.string()
    field = Field("book", "item", "sparse", kind, "book", 0)
    rows = pa.table(
        {"book": pa.array([values[key] for key in known], raw), WEIGHT: pa.array([1] * len(known), pa.int64())}
    )
    options = DataOptions(min_count=min_count).resolved()
    found = vocabulary.fit(engine, [(field, ibis.memtable(rows))], options)
    missing = -1 if kind == "int64" else ""
    counts = collections.Counter(values[key] for key in known)
    kept = [value for value, count in counts.items() if count >= min_count and value != missing]
    expected = sorted(kept, key=lambda value: value if kind == "int64" else value.encode())
    listed = engine.table(found["book"].values.order_by("index")).to_pylist()
    assert [row["value"] for row in listed] == expected
    assert [row["index"] for row in listed] == list(range(RESERVED, RESERVED + len(expected)))
    assert found["book"].size == len(expected)
    wanted = [None if key is None else values[key] for key in asked]
    table = pa.table({"book": pa.array(wanted, raw), "place": pa.array(range(len(wanted)), pa.int64())})
    indexed = engine.table(vocabulary.with_index(ibis.memtable(table), "place", field, found).order_by("place"))
    for value, index in zip(wanted, indexed["_index_book"].to_pylist(), strict=True):
        if value is None or value == missing:
            assert index == MISSING
        elif value in expected:
            assert expected[index - RESERVED] == value
        else:
            assert index == UNSEEN
