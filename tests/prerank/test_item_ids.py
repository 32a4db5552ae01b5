"""Item ids of a request, in whatever array they come, and texts that NumPy would change."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import export_small, users, write_items

from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.encoding import Indexer
from prerank.errors import InputError, RequestError
from prerank.preranker import PreRanker
from prerank.requests import item_ids

LARGEST = 2**63 - 1
INTEGERS = [
    [3, LARGEST], (3, LARGEST), np.array([3, LARGEST]), np.array([3, LARGEST], object),
    pd.Series([3, LARGEST], index=[9, 8]), pd.Series([3, LARGEST], dtype="Int64"), pd.Index([3, LARGEST]),
    pd.Series([3, LARGEST], dtype="int64[pyarrow]"), pd.Series([3, LARGEST], dtype=object),
    pd.Series([3, LARGEST], dtype="category"), pd.array([3, LARGEST]),
    pa.array([3, LARGEST]), pa.chunked_array([[3], [LARGEST]]), pa.array([3, LARGEST]).dictionary_encode(),
    pa.array([3, LARGEST], pa.uint64()),
]  # fmt: skip
TEXTS = [
    ["a", "é b"], ("a", "é b"), np.array(["a", "é b"]), np.array(["a", "é b"], object),
    pd.Series(["a", "é b"], index=[9, 8]), pd.Series(["a", "é b"], dtype=object), pd.Index(["a", "é b"]),
    pd.Series(["a", "é b"], dtype="string"), pd.Series(["a", "é b"], dtype="category"),
    pa.array(["a", "é b"]), pa.array(["a", "é b"], pa.large_string()), pa.chunked_array([["a"], ["é b"]]),
    pa.array(["a", "é b"]).dictionary_encode(), pa.array(["a", "é b"], pa.string_view()),
]  # fmt: skip


def _name(values):
    return f"{type(values).__name__}-{getattr(values, 'dtype', getattr(values, 'type', ''))}"


@pytest.mark.parametrize("values", INTEGERS, ids=_name)
def test_integers_in_any_array(values):
    found = item_ids(values, "int64")
    assert found.dtype == np.int64
    assert found.tolist() == [3, LARGEST]


@pytest.mark.parametrize("values", TEXTS, ids=_name)
def test_texts_in_any_array(values):
    found = item_ids(values, "string")
    assert found.dtype == object
    assert found.tolist() == ["a", "é b"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pd.Series([1.0, 2.0]), "int64", [1, 2]),
        (pd.Series(["1", "-7"]), "int64", [1, -7]),
        ([2, "3", np.int8(4), 5.0, True, b"7"], "int64", [2, 3, 4, 5, 1, 7]),
        (pd.Series([True, False]), "int64", [1, 0]),
        (pd.Series([True, False]), "string", ["true", "false"]),
        (pd.Series([1, 2]), "string", ["1", "2"]),
        (pa.array([b"a"]), "string", ["a"]),
        ([1, "b"], "string", ["1", "b"]),
    ],
    ids=lambda value: value if isinstance(value, str) else _name(value),
)
def test_other_spellings_of_an_id_are_read_by_the_contract_of_values(values, kind, expected):
    assert item_ids(values, kind).tolist() == expected


@pytest.mark.parametrize(
    ("values", "received"),
    [
        (pd.Series([1, None], dtype="Int64"), "None"),
        (pd.Series([1, None], dtype="int64[pyarrow]"), "None"),
        (pd.Series([1.5, 2.0]), "1.5"),
        (["1_0"], "'1_0'"),
        (["1e3"], "'1e3'"),
        (pd.Series([2**63], dtype="uint64"), "9223372036854775808"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "datetime"),
        (pd.DataFrame({"id": [1]}), "id 0 1"),
        (pa.array([1, None]), "None"),
        (pa.array([2**60, None]), "None"),
        (pa.chunked_array([[1], [None]], pa.int64()), "None"),
        (pa.array([None, None]), "None"),
        (pa.array([[1], [2]]), r"\[1\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else _name(value),
)
def test_what_is_missing_or_no_integer_is_refused(values, received):
    message = rf"candidates: an item id has to be an integer( of 64 bits)?. Received: {received}"
    with pytest.raises(RequestError, match=message):
        item_ids(values, "int64")


@pytest.mark.parametrize(
    ("values", "received"),
    [
        (pd.Series(["a", None]), "None"),
        (pd.Series(["a", None], dtype="string"), "None"),
        (pa.array(["a", None]), "None"),
        (pa.array([b"\xff"]), ""),
        (np.array([["a"]]), "array"),
        (pd.DataFrame({"a": ["x"]}), "a 0 x"),
        ([["a"], ["b"]], r"\['a'\]"),
        (["a", "b\0"], r"'b\\x00'"),
        (pd.Series(["a", "b\0"]), r"'b\\x00'"),
        (pa.array(["a", "\0"]), r"'\\x00'"),
        (["a", "a\0b"], r"'a\\x00b'"),
        (["a", "\ud800"], r"'\\ud800'"),
        (["\ud83d", "\ude42"], r"'\\ud83d'"),
    ],
    ids=lambda value: None if isinstance(value, str) else _name(value),
)
def test_what_is_missing_or_no_text_is_refused(values, received):
    with pytest.raises(RequestError, match=rf"candidates: an item id has to be a text.*Received: {received}"):
        item_ids(values, "string")


@pytest.mark.parametrize("values", [pd.Series([], dtype="int64"), pa.array([], pa.int64()), pa.chunked_array([[]])])
def test_empty_arrays(values):
    found = item_ids(values, "int64")
    assert (found.dtype, found.shape) == (np.int64, (0,))


@pytest.fixture(scope="module", params=["saved_model", "onnx"])
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    items = write_items(folder / "items.parquet", range(1, 90))
    export_small("hit", folder / "out", catalogue=items, export_format=request.param)
    build(Artefact(folder / "out"), items, folder / "out" / "index")
    return folder / "out"


def test_a_request_with_pandas_and_arrow(place):
    ranker, user = PreRanker(place), users(1)[0]
    expected = ranker.score(user, [5, 7, 900])
    for ids in (pd.Series([5, 7, 900]), pa.array([5, 7, 900])):
        found = ranker.score(user, ids)
        assert np.array_equal(found.scores, expected.scores, equal_nan=True)
        assert found.unknown == (900,)
    best = ranker.top(user, 3, candidates=pd.Index([5, 7, 9]), exclude=pd.Series([7])).ids.tolist()
    assert best == ranker.top(user, 3, candidates=[5, 9]).ids.tolist()
    for nothing in (pd.Series([], dtype="int64"), pa.array([], pa.int64())):
        assert len(ranker.top(user, 3, exclude=nothing).ids) == 3


@pytest.mark.parametrize("text", ["F\0", "\0", "F\0\0", "F\0M"])
def test_a_text_with_a_nul_is_no_other_text(text, place):
    """NumPy cuts it off the end, so that "F\\0" would be scored as "F"."""
    ranker = PreRanker(place)
    with pytest.raises(
        RequestError, match="user: feature 'gender' has to be a text of Unicode characters, without NUL"
    ):
        ranker.top({**users(1)[0], "gender": text}, 3)


def test_an_item_with_a_nul_is_refused(place, tmp_path):
    table = pq.read_table(place / "catalogue.parquet")
    genres = table["genres"].to_pylist()
    genres[4] = ["Drama", "War\0"]
    pq.write_table(table.set_column(1, "genres", pa.array(genres)), tmp_path / "items.parquet")
    with pytest.raises(
        InputError, match="items.parquet, row 5: genres has to be a list of values, each a text of .*, without NUL"
    ):
        build(Artefact(place), tmp_path / "items.parquet", tmp_path / "index")
    assert not (tmp_path / "index" / "CURRENT").exists()


def test_raw_values_for_onnx_with_a_nul_are_refused(tmp_path):
    place = export_small("lr", tmp_path / "out", export_format="onnx")
    for raw in ({"gender": ["F", "F\0"]}, {"genres": [["Drama"], ["War\0", "Drama"]]}):
        with pytest.raises(InputError, match="row 2 has to be a .*without NUL"):
            Indexer(place).encode(raw)
    assert Indexer(place).encode({"gender": ["F", "M"]})["gender"].tolist() == [2, 3]


@pytest.mark.parametrize(("values", "place"), [([1, "x", 3], 2), ([None, 2], 1), ([1, 2, 2.5], 3), ("x", 1)])
def test_the_place_of_what_is_no_id_is_named(values, place):
    with pytest.raises(RequestError, match=rf"^exclude: an item id .*, place {place}$"):
        item_ids(values, "int64", "exclude")
