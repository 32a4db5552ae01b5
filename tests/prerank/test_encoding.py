"""The look-up outside of the graph against the one inside."""

import json
import shutil

import numpy as np
import pytest
from raw_rows import random_raw_rows, raw_rows, tensors, vocabularies

import models
from export.raw_inputs import RawInputs
from export.writer import export
from prerank.encoding import Indexer
from prerank.errors import InputError


@pytest.fixture(scope="module")
def exported(prepared, tmp_path_factory):
    for package in ("onnx", "tf2onnx"):
        pytest.importorskip(package, reason="requirements-onnx.txt is not installed")
    place = tmp_path_factory.mktemp("onnx") / "out"
    export(models.build("target_means", prepared.spec), vocabularies(prepared), place, {}, "onnx")
    return place


def test_it_is_the_look_up_of_the_saved_model(exported, prepared):
    for raw in (raw_rows(prepared), random_raw_rows(prepared, rows=500)):
        expected = RawInputs(prepared.spec, vocabularies(prepared)).encode(tensors(prepared, raw))
        found = Indexer(exported).encode(raw)
        assert set(found) == set(expected)
        for name, values in expected.items():
            assert found[name].dtype == values.dtype.as_numpy_dtype
            np.testing.assert_array_equal(found[name], values.numpy(), err_msg=name)


def test_every_value_of_a_vocabulary_has_its_place(exported, prepared):
    users, genres = prepared.vocabulary("user_id"), prepared.vocabulary("genres")
    found = Indexer(exported).encode({"user_id": users, "genres": [genres.tolist()]})
    assert np.array_equal(found["user_id"], np.arange(len(users)) + 2)
    assert np.array_equal(found["genres"], [np.arange(len(genres)) + 2])


def test_rows_of_different_lengths_are_padded(exported, prepared):
    movies = [int(movie) for movie in prepared.vocabulary("movie_id")[:3]]
    indexer = Indexer(exported)
    found = indexer.encode({"user_hist": [movies, [], movies[:1]], "genres": [[], [], ["", "Unheard of"]]})
    assert found["user_hist"].tolist() == [[2, 3, 4], [0, 0, 0], [2, 0, 0]]
    assert found["genres"].tolist() == [[0, 0], [0, 0], [0, 1]]
    for empty in ([[], []], np.zeros((2, 0), np.int64)):
        assert indexer.encode({"user_hist": empty})["user_hist"].tolist() == [[0], [0]]
    assert indexer.encode({"user_id": []})["user_id"].shape == (0,)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"user": [1]}, ["user", "user_id"]),
        ({"user_id": [7, "1x"]}, ["user_id, row 2 has to be an integer. Received: '1x'"]),
        ({"user_id": [1.5]}, ["user_id, row 1 has to be an integer. Received: 1.5"]),
        ({"user_id": [2**63]}, ["user_id, row 1 has to be an integer of 64 bits"]),
        ({"user_id": 1}, ["user_id has to be an array of rank 1"]),
        ({"gender": ["M", 3.5]}, ["gender, row 2 has to be a text. Received: 3.5"]),
        ({"gender": [["M"]]}, ["gender, row 1 has to be a text"]),
        ({"user_hist": [1, 2]}, ["user_hist, row 1 has to be a sequence. Received: 1"]),
        ({"user_hist": np.array([[1, 2], [3, 4.5]])}, ["user_hist, row 2 has to be an integer. Received: 4.5"]),
        ({"user_hist": ["1"]}, ["user_hist, row 1 has to be a sequence. Received: '1'"]),
        ({"genres": "Drama"}, ["genres has to be an array of rank 2, or a list of lists"]),
        ({"user_mean_rating": ["half"]}, ["user_mean_rating, row 1 has to be a number. Received: 'half'"]),
        ({"user_mean_rating": [0.5, 1e39]}, ["user_mean_rating, row 2 has to be a finite number of 32 bits"]),
    ],
)
def test_wrong_values_name_the_input(exported, raw, words):
    with pytest.raises(InputError) as caught:
        Indexer(exported).encode(raw)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_damaged_files_are_named(exported, tmp_path):
    place = tmp_path / "out"
    shutil.copytree(exported, place)
    features = json.loads((place / "features.json").read_text())
    values = json.loads((place / "vocabularies.json").read_text())

    def broken(word, name, content):
        before = (place / name).read_text()
        (place / name).write_text(content)
        with pytest.raises(InputError, match=word):
            Indexer(place)
        (place / name).write_text(before)

    broken("features.json", "features.json", "{")
    broken("format onnx", "features.json", json.dumps(features | {"format": "saved_model"}))
    broken(
        "reserved", "features.json", json.dumps({key: features[key] for key in ("format", "inputs", "specification")})
    )
    broken("genres", "vocabularies.json", json.dumps(values | {"genres": values["genres"][:-1]}))
    broken("genres", "vocabularies.json", json.dumps({key: values[key] for key in values if key != "genres"}))
    (place / "vocabularies.json").unlink()
    with pytest.raises(InputError, match="vocabularies.json"):
        Indexer(place)
