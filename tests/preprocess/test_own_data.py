"""A schema over MovieLens-like tables gives what MovieLens' adapter gives; its errors name the key or the column."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.parquet_rows import Source, read_parquet
from preprocess.prepare import prepare
from preprocess.raw import RawFile
from prerank.errors import InputError

MOVIES = {
    "dataset": "movies",
    "user_id": "user_id",
    "item_id": "movie_id",
    "label": {"column": "rating", "positive_from": 4, "leave_out": [3]},
    "time": "timestamp",
    "static": ["gender", "age", "movie_id"],
    "category": "genres",
    "history": "user_hist",
    "user_mean": "user_mean_rating",
    "item_mean": "item_mean_rating",
    "fields": {
        "user_id": {"side": "user", "type": "int64"},
        "gender": {"side": "user"},
        "age": {"side": "user", "type": "int64"},
        "occupation": {"side": "user", "type": "int64"},
        "movie_id": {"side": "item", "type": "int64"},
        "genres": {"side": "item", "kind": "sequence", "separator": "|"},
    },
}


def changed(**keys):
    return MOVIES | keys


def with_fields(**fields):
    return MOVIES | {"fields": MOVIES["fields"] | fields}


@pytest.fixture(scope="session")
def joined(small, tmp_path_factory):
    """The small data set as one csv file."""
    return small.write_joined(tmp_path_factory.mktemp("joined") / "joined.csv")


@pytest.fixture
def prepare_own(tmp_path):
    def prepare_with(schema, data_path, **options):
        return prepare(NoSchema(), asked(tmp_path, schema, data_path, **options), lambda line: None)

    return prepare_with


@pytest.fixture
def read_own(tmp_path, read_raw):
    return lambda schema, data_path, **options: read_raw(NoSchema(), asked(tmp_path, schema, data_path, **options))


@pytest.fixture(scope="session")
def as_movielens(ml_1m, read_raw):
    """What MovieLens' adapter reads from its own layout."""
    return rated(read_raw(ADAPTER, DataOptions(data_path=ml_1m)))


def asked(tmp_path, schema, data_path, **options):
    file = tmp_path / "schema.yaml"
    file.write_text(schema if isinstance(schema, str) else yaml.safe_dump(schema, sort_keys=False))
    return OwnDataOptions(schema=file, data_path=data_path, prepared_dir=tmp_path / "out", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"split": "user_time", "state": "frozen"}, marks=pytest.mark.slow),
        pytest.param({"protocol": "reference"}, marks=pytest.mark.slow),
    ],
)
def test_the_same_samples_as_movielens(joined, prepared, samples, prepare_own, options):
    own, expected = prepare_own(MOVIES, joined, **options), prepared(**options)
    assert samples(own) == samples(expected)
    assert own.spec.to_dict() == expected.spec.to_dict() | {"dataset": "movies"}
    assert own.path.parent.name == "movies"


def frame(joined):
    return pd.read_csv(joined, dtype={"zipcode": str})


def rated(found):
    """Without the users and items that have no labelled row."""
    users, movies = ({row[key] for row in found["rows"]} for key in ("user_id", "movie_id"))
    return {
        "rows": found["rows"],
        "users": [user for user in found["users"] if user["user_id"] in users],
        "items": [movie for movie in found["items"] if movie["movie_id"] in movies],
    }


def as_lists(table):
    return table.assign(genres=table.genres.str.split("|"))


@pytest.mark.parametrize(
    "spelling", ["lists", "lists or text", "text", "floats", "timestamps", "categories", "milliseconds"]
)
def test_parquet_in_several_spellings(joined, as_movielens, read_own, tmp_path, spelling):
    table, schema = frame(joined), MOVIES
    if spelling == "lists or text":
        table = as_lists(table)
    elif spelling != "text":
        table, schema = as_lists(table), with_fields(genres={"side": "item", "kind": "sequence"})
    if spelling == "floats":
        table = table.astype({"user_id": float, "rating": float, "timestamp": float})
    elif spelling == "timestamps":
        table["timestamp"] = pd.to_datetime(table.timestamp, unit="s", utc=True) + pd.Timedelta("300ms")
    elif spelling == "categories":
        table["gender"] = table.gender.astype("category")
    elif spelling == "milliseconds":
        table["timestamp"] = table.timestamp * 1000 + 999
        schema = schema | {"time": {"column": "timestamp", "unit": "ms"}}
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    assert rated(read_own(schema, tmp_path / "rows.parquet")) == as_movielens


def test_separate_tables_of_users_and_items(joined, as_movielens, read_own, tmp_path):
    table = frame(joined)
    table[["user_id", "movie_id", "rating", "timestamp"]].to_parquet(tmp_path / "rows.parquet")
    users = table[["user_id", "gender", "age", "occupation"]].drop_duplicates().rename(columns={"gender": "Sex"})
    users.to_csv(tmp_path / "users.csv", index=False, sep=";")
    as_lists(table[["movie_id", "genres"]].drop_duplicates()).to_parquet(tmp_path / "items.parquet")
    schema = with_fields(genres={"side": "item", "kind": "sequence"}, gender={"side": "user", "column": "Sex"})
    schema |= {"files": {"rows": "rows.parquet", "users": "users.csv", "items": "items.parquet"}, "delimiter": ";"}
    assert rated(read_own(schema, tmp_path)) == as_movielens


def test_numbers_context_shared_vocabularies_and_days(prepare_own, samples, tmp_path):
    days = [day for day in range(5) for _ in range(40)]
    table = pd.DataFrame(
        {
            "who": [f"u{place % 7}" for place in range(200)],
            "what": [place % 11 for place in range(200)],
            "bought": [place % 3 == 0 for place in range(200)],
            "at": [day * 86_400 - 5 * 3600 + place for place, day in enumerate(days)],
            "page": [None if place % 10 == 0 else "ab"[place % 2] for place in range(200)],
            "load": [None if place % 4 == 0 else float(place) for place in range(200)],
            "price": [None if place % 11 == 3 else float(place % 11) for place in range(200)],
            "wish": [[] if place % 7 == 1 else [place % 7, 999] for place in range(200)],
        }
    )
    table.to_parquet(tmp_path / "rows.parquet")
    schema = {
        "dataset": "shop",
        "user_id": "who",
        "item_id": "what",
        "label": "bought",
        "time": "at",
        "utc_offset": 5,
        "context": ["page", "load"],
        "fields": {
            "who": {"side": "user"},
            "what": {"side": "item", "type": "int64"},
            "page": {"side": "user"},
            "load": {"side": "user", "kind": "dense"},
            "price": {"side": "item", "kind": "dense"},
            "wish": {"side": "user", "kind": "sequence", "type": "int64", "vocabulary": "what"},
        },
    }
    found = prepare_own(schema, tmp_path / "rows.parquet")
    rows = samples(found)
    assert [found.rows(part) for part in ("train", "validation", "test")] == [120, 40, 40]
    assert {sample["part"] for row, sample in rows.items() if row >= 160} == {"test"}
    assert found.spec["price"].default == pytest.approx(52 / 10)
    known_loads = [place for place in range(120) if place % 4]
    for place, sample in rows.items():
        assert sample["page"] == (None if place % 10 == 0 else "ab"[place % 2])
        assert sample["load"] == pytest.approx(place if place % 4 else sum(known_loads) / len(known_loads))
        assert sample["price"] == pytest.approx(5.2 if place % 11 == 3 else place % 11)
        assert sample["wish"] == ([] if place % 7 == 1 else [place % 7, 999])


def test_without_time_only_a_random_split_is_possible(joined, prepare_own, read_own):
    schema = {key: value for key, value in MOVIES.items() if key != "time"}
    with pytest.raises(InputError, match="--split time: .* no time"):
        prepare_own(schema, joined)
    assert {row["_timestamp"] for row in read_own(schema, joined, split="random")["rows"]} == {0}


def test_without_a_label_negatives_are_needed(small, joined, read_own):
    schema = {key: value for key, value in MOVIES.items() if key != "label"}
    with pytest.raises(InputError, match="schema.yaml: there is no label.*--negatives N"):
        read_own(schema, joined)
    assert [row["_label"] for row in read_own(schema, joined, negatives=1)["rows"]] == [1] * len(small.ratings)


def test_the_schema_is_one_of_the_raw_files(joined, tmp_path):
    options = asked(tmp_path, MOVIES, joined)
    assert options.adapter(NoSchema()).find(joined) == {"schema": options.schema, "rows": joined}


def error_of(prepare_own, schema, data_path, tmp_path, **options):
    with pytest.raises(InputError) as caught:
        prepare_own(schema, data_path, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("dataset: [", "schema.yaml, line 1: --schema: not valid YAML"),
        ("- a", "schema.yaml: --schema: expected keys and values"),
        (changed(dataset="My data"), "dataset: String should match pattern"),
        (changed(lables="rating"), "lables: there is no such key"),
        (changed(labels="rating"), "labels"),
        ({key: value for key, value in MOVIES.items() if key != "user_id"}, "user_id: Field required"),
        (changed(user_id="who"), "user_id: names no field of the user's side. Received: 'who'"),
        (changed(item_id="gender"), "item_id: names no field of the item's side. Received: 'gender'"),
        (changed(category="gender"), "category: names no field of the item's side. Received: 'gender'"),
        (changed(static=["sex"]), "static: names no field. Received: 'sex'"),
        (changed(context=["gender"]), "static: 'gender' is of the context"),
        (changed(context=["user_id"], static=[]), "user_id: an id has to be sparse, and not of the context"),
        (changed(history="genres"), "genres: history, user_mean and item_mean name new fields"),
        (changed(user_mean="item_mean_rating"), "item_mean_rating: history, user_mean and item_mean name new fields"),
        (changed(time={"column": "timestamp", "unit": "h"}), "time.unit: Input should be 's', 'ms', 'us' or 'ns'"),
        (changed(utc_offset=30), "utc_offset: Input should be less than or equal to 14. Received: 30"),
        (
            with_fields(gender={"side": "left"}),
            "fields.gender.side: Input should be 'user' or 'item'. Received: 'left'",
        ),
        (with_fields(gender={"side": "user", "kinds": "x"}), "fields.gender.kinds: there is no such key"),
        (with_fields(gender={"side": "user", "separator": ","}), "fields.gender.separator: the field is no sequence"),
        (with_fields(gender={"side": "user", "column": ""}), "fields.gender.column: String should have at least 1"),
        *(
            (changed(**{key: spelt}), f"{key}{where}: String should have at least 1 character. Received: ''")
            for key in ("label", "time", "request", "stage", "weight", "teacher")
            for spelt, where in (("", ""), ({"column": ""}, ".column"))
            if key not in ("weight", "teacher") or spelt == ""
        ),
        *(
            (changed(delimiter=mark), "delimiter: a quote or a line end cannot stand between values")
            for mark in ('"', "\n", "\r")
        ),
        (changed(delimiter=""), "delimiter: String should have at least 1 character"),
        (changed(delimiter=";;"), "delimiter: String should have at most 1 character"),
        (with_fields(_place={"side": "user"}), "fields._place: String should match pattern"),
        (with_fields(Sex={"side": "user"}), "fields.Sex: String should match pattern"),
    ],
)
def test_a_wrong_schema_names_its_key(joined, prepare_own, tmp_path, schema, message):
    error = error_of(prepare_own, schema, joined, tmp_path)
    assert error.startswith("schema.yaml")
    assert message in error


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (with_fields(city={"side": "user"}), "line 1: no column city in the header"),
        (with_fields(gender={"side": "user", "type": "int64"}), "gender has to be an integer. Received: "),
        (with_fields(gender={"side": "user", "kind": "dense"}), "gender has to be a number. Received: "),
        (with_fields(genres={"side": "item", "kind": "sequence"}), "fields.genres.separator is needed: a csv file has"),
        (
            with_fields(genres={"side": "item", "kind": "sequence", "type": "int64", "separator": "|"}),
            "genres has to be a list of values, each an integer. Received: ",
        ),
        (changed(label="rating"), "rating has to be 0 or 1, or the schema needs label.positive_from. Received: "),
        (changed(label={"column": "timestamp", "positive_from": 0}), "positives only"),
        (with_fields(rating={"side": "user"}), "has other values on an earlier line (rating)"),
        (
            with_fields(stars={"side": "user", "kind": "dense", "column": "rating"}),
            "has other values on an earlier line (stars)",
        ),
        (changed(files="rows.csv"), "no such file: files.rows in "),
    ],
)
def test_a_column_that_does_not_fit_is_named(joined, prepare_own, tmp_path, schema, message):
    assert message in error_of(prepare_own, schema, joined, tmp_path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("gender", None, "no column gender; did you mean genres? Received: user_id, movie_id"),
        ("user_id", lambda ids: ids.where(ids.index != 7), "row 8: user_id is null, and may not be missing"),
        (
            "user_id",
            lambda ids: ids + 0.5 * (ids.index == 9),
            "row 10: user_id has to be an integer. Received: ",
        ),
        (
            "rating",
            lambda stars: stars.astype(str).where(stars.index != 150, "good"),
            "row 151: rating has to be a number. Received: 'good' (large_string)",
        ),
        (
            "rating",
            lambda stars: stars / (stars.index != 5),
            "row 6: rating has to be a finite number. Received: inf (double)",
        ),
        ("gender", lambda words: words.index * 1.5, "row 1: gender has to be a text. Received: 0.0 (double)"),
        ("timestamp", lambda times: times.astype(str) + "x", "row 1: timestamp has to be an integer or a timestamp"),
        ("genres", lambda words: [{"a": 1}] * len(words), "row 1: genres has to be a list of values, each a text"),
    ],
)
def test_a_parquet_column_that_does_not_fit_is_named(joined, prepare_own, tmp_path, column, values, message):
    table = as_lists(frame(joined))
    table = table.drop(columns=column) if values is None else table.assign(**{column: values(table[column])})
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    error = error_of(
        prepare_own, with_fields(genres={"side": "item", "kind": "sequence"}), tmp_path / "rows.parquet", tmp_path
    )
    assert error.startswith("rows.parquet")
    assert message in error


def test_files_that_cannot_be_read(joined, prepare_own, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert "damaged, or no Parquet file" in error_of(prepare_own, MOVIES, tmp_path / "rows.parquet", tmp_path)
    assert "no such file: --data_path names one file" in error_of(prepare_own, MOVIES, tmp_path / "x.csv", tmp_path)
    assert "a folder has to hold Parquet files only" in error_of(prepare_own, MOVIES, tmp_path, tmp_path)
    (tmp_path / "rows.txt").write_text("x")
    assert "ends in .parquet, .csv, .csv.gz" in error_of(prepare_own, MOVIES, tmp_path / "rows.txt", tmp_path)
    with pytest.raises(InputError, match="--schema is needed"):
        prepare(NoSchema(), OwnDataOptions(data_path=joined))
    missing = OwnDataOptions(data_path=joined, schema=tmp_path / "none.yaml")
    with pytest.raises(InputError, match=re.escape("none.yaml: --schema: cannot be read: No such file")):
        prepare(NoSchema(), missing)


def test_users_that_occur_twice_or_not_at_all(joined, prepare_own, tmp_path):
    table = frame(joined)
    table.to_parquet(tmp_path / "rows.parquet")
    users = table[["user_id", "gender", "age", "occupation"]].drop_duplicates()
    schema = changed(files={"rows": "rows.parquet", "users": "users.csv"})
    pd.concat([users, users[:1]]).to_csv(tmp_path / "users.csv", index=False)
    assert "is already on line 2" in error_of(prepare_own, schema, tmp_path, tmp_path)
    users[: len(users) // 2].to_csv(tmp_path / "users.csv", index=False)
    assert "a user_id that users.csv does not hold, at most 20% may" in error_of(
        prepare_own, schema, tmp_path, tmp_path
    )


def test_times_before_1970_are_rounded_down(engine, tmp_path):
    pq.write_table(pa.table({"a": pa.array([-1500, None, 2500], pa.int64())}), tmp_path / "a.parquet")
    sources = [Source("t", "a", "seconds", False, 1000)]
    found = read_parquet(engine, RawFile.inspect(tmp_path / "a.parquet"), sources).table
    assert found.to_pyarrow().to_pydict() == {"_row": [0, 1, 2], "t": [-2, None, 2]}
