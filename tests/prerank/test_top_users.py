"""The best users for an item, from an index of users."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import GENRES, export_small, raw_user, users, write_items

from prerank import index_command
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.errors import ArtefactError, InputError, RequestError
from prerank.preranker import PreRanker
from prerank.reversed_artefact import ReversedArtefact

COUNT = 40
ITEM = {"movie_id": 7, "genres": ["Drama", "War"], "item_mean_rating": 0.25}
OTHER = {"movie_id": None, "genres": None, "item_mean_rating": None}


def audience():
    """Users whose ids all differ."""
    return [user | {"user_id": 1000 + number} for number, user in enumerate(users(COUNT, seed=3))]


def write_users(path):
    rows = [{"user_mean_rating": None, **user} for user in audience()]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module", autouse=True)
def _any_threads():
    """A command limits the threads of its process, which this one has already used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_command, "limit_threads", lambda: None)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An exported UniMatch with an index of items and one of users."""
    folder = tmp_path_factory.mktemp("uni_match")
    items = write_items(folder / "items.parquet", range(1, 40, 2))
    export_small("uni_match", folder / "out", catalogue=items)
    build(Artefact(folder / "out"), items, folder / "out" / "index")
    flags = ["--users", str(write_users(folder / "users.parquet")), "--out", str(folder / "users")]
    assert main(["index", "--model", str(folder / "out"), *flags]) == 0
    return folder


@pytest.fixture(scope="module")
def ranker(place):
    return PreRanker(place / "out", users_dir=place / "users")


@pytest.fixture(scope="module")
def expected(place):
    """Logits of both items for each user, by the SavedModel, by user id."""
    loaded = Artefact(place / "out").backend.loaded
    found = []
    for movie, genres, mean in ((7, ["Drama", "War"], 0.25), (-1, [], np.nan)):
        item = loaded.signatures["item_tower"](
            movie_id=np.array([movie]),
            genres=np.array([genres], object).reshape(1, len(genres)).astype(str),
            item_mean_rating=np.array([mean], np.float32),
        )
        scores = {}
        for user in audience():
            state = loaded.signatures["user_tower"](**raw_user(user))
            scores[user["user_id"]] = float(loaded.signatures["score"](**state, **item)["logit"].numpy()[0])
        found.append(scores)
    return found


@pytest.mark.parametrize(("item", "number"), [(ITEM, 0), (OTHER, 1)])
def test_the_best_users_of_an_item(item, number, ranker, expected):
    scores = expected[number]
    assert np.std(list(scores.values())) > 1e-3
    found = ranker.top_users(item, 10)
    np.testing.assert_allclose(found.scores, [scores[key] for key in found.ids.tolist()], atol=1e-4)
    np.testing.assert_allclose(found.scores, sorted(scores.values(), reverse=True)[:10], atol=1e-4)
    assert len(ranker.top_users(item, 1000).ids) == COUNT


def test_users_to_choose_from_and_to_leave_out(ranker, expected):
    some = [1003, 1001, 1017, 1002]
    best = sorted(some, key=lambda key: -expected[0][key])
    assert ranker.top_users(ITEM, 3, candidates=some).ids.tolist() == best[:3]
    assert ranker.top_users(ITEM, 9, candidates=some, exclude=best[:1]).ids.tolist() == best[1:]


def test_items_are_ranked_as_without_an_index_of_users(place, ranker):
    user = users(1)[0]
    found, without = ranker.top(user, 5), PreRanker(place / "out").top(user, 5)
    np.testing.assert_array_equal(found.ids, without.ids)
    ranker.load()
    assert ranker.reload() == ranker.version


def test_an_item_that_is_wrong(ranker):
    with pytest.raises(RequestError, match="item: there is no item feature 'gender'") as error:
        ranker.top_users(ITEM | {"gender": "F"}, 3)
    assert error.value.field == "item.gender"
    with pytest.raises(RequestError, match="item: feature 'genres' has to be"):
        ranker.top_users(ITEM | {"genres": 3.5}, 3)
    with pytest.raises(RequestError, match="item: feature 'movie_id' is missing"):
        ranker.top_users({"genres": GENRES[:1], "item_mean_rating": 0.5}, 3)


def test_without_an_index_of_users(place):
    with pytest.raises(RequestError, match="top_users: the ranker has no index of users"):
        PreRanker(place / "out").top_users(ITEM, 3)


def test_an_index_of_users_is_none_of_items(place):
    with pytest.raises(ArtefactError):
        PreRanker(place / "out", place / "users")
    with pytest.raises(ArtefactError):
        PreRanker(place / "out", users_dir=place / "out" / "index")


def test_a_model_whose_sides_cannot_be_exchanged(tmp_path):
    with pytest.raises(ArtefactError, match="hit cannot rank users: expected a scorer out of additive, cosine, dot"):
        ReversedArtefact(export_small("hit", tmp_path / "hit"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--users: needs --out"),
        (["--out", "x", "--items", "y"], "--items: expected an index of items. Received: --users too"),
        (["--out", "x", "--evaluate", "y"], "--evaluate: expected an index of items"),
    ],
)
def test_flags_that_do_not_go_with_users(flags, message, place, capsys):
    assert main(["index", "--model", str(place / "out"), "--users", "users.parquet", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_table_without_a_feature(place, tmp_path):
    table = pq.read_table(place / "users.parquet").drop(["age"])
    pq.write_table(table, tmp_path / "users.parquet")
    with pytest.raises(InputError, match="age"):
        build(ReversedArtefact(place / "out"), tmp_path / "users.parquet", tmp_path / "index")
