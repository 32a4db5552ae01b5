"""Two models at once: who answers whom, what answers say of it, and a shadow that is only counted."""

import hashlib
import json

import pytest
from artefacts import export_small, users, write_items
from servers import IDS, serving, wait_for

from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.errors import RequestError
from prerank.preranker import PreRanker
from prerank.service.variants import Variants

USERS = users(30, seed=4)


@pytest.fixture(scope="module")
def other(artefact, tmp_path_factory):
    """Another model of the same features, with an index of fewer items."""
    folder = tmp_path_factory.mktemp("other")
    items = write_items(folder / "items.parquet", IDS[:150], seed=3)
    export_small("dssm", folder / "out", seed=1, catalogue=items, export_format="onnx")
    build(Artefact(folder / "out"), items, folder / "out" / "index")
    return folder / "out"


def is_others(user, share):
    digest = hashlib.sha256(json.dumps(user["user_id"]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def test_a_share_of_the_users_gets_the_other_model(artefact, other, reference):
    rankers = {"main": reference, "other": PreRanker(other)}
    expected = ["other" if is_others(user, 0.4) else "main" for user in USERS]
    assert 5 < expected.count("other") < 20
    with serving(artefact, "--other", other, "--share", 0.4) as server:
        status, found = server.post("/v1/top", {"users": USERS, "n": 6})
        assert (status, [one["variant"] for one in found["results"]]) == (200, expected)
        alone = [server.post("/v1/top", {"user": user, "n": 6})[1] for user in USERS[:8]]
        for one, other_one in zip(alone, found["results"], strict=False):
            assert [item["id"] for item in one["items"]] == [item["id"] for item in other_one["items"]]
            assert (one["variant"], one["model"]) == (other_one["variant"], other_one["model"])
        for user, one in zip(USERS, found["results"], strict=True):
            ranker = rankers[one["variant"]]
            assert [item["id"] for item in one["items"]] == ranker.top(user, 6).ids.tolist()
            assert one["model"] == ranker.fingerprint[:12]
        assert json.loads(server.ask("GET", "/readyz")[1]) == {
            "status": "ready", "index": "v000001", "items": 200, "other": {"index": "v000001", "items": 150},
        }  # fmt: skip
        assert server.metric("prerank_variant_users_total") == 38
        assert server.metric("prerank_other_index_items") == 150
        for place in (expected.index("main", 3), expected.index("other", 3)):
            wrong = [*USERS[:place], {**USERS[place], "age": "old"}, *USERS[place + 1 :]]
            status, found = server.post("/v1/top", {"users": wrong, "n": 6})
            assert (status, found["field"]) == (400, f"users.{place}.age")
            assert found["error"].startswith(f"user {place + 1}: feature 'age'")


def test_the_only_user_of_a_model_in_a_batch_is_named_by_its_place(artefact, other):
    variants = Variants(PreRanker(artefact), PreRanker(other), 0.4)
    place = next(place for place, user in enumerate(USERS) if is_others(user, 0.4))
    mains = [user for user in USERS if not is_others(user, 0.4)][:3]
    with pytest.raises(RequestError, match="^user 4: feature 'age'") as error:
        variants.ask([*mains, {**USERS[place], "age": "old"}], lambda ranker, some: ranker.top_many(some, 3))
    assert error.value.field == "users.3.age"


def test_a_shadow_answers_nobody_and_is_counted(artefact, other, reference):
    ranker = PreRanker(other)
    overlap = [
        len(set(reference.top(user, 50).ids.tolist()) & set(ranker.top(user, 50).ids.tolist())) / 50
        for user in USERS[:10]
    ]
    with serving(artefact, "--other", other, "--shadow") as server:
        for user in USERS[:10]:
            status, found = server.post("/v1/top", {"user": user, "n": 50})
            assert (status, found["variant"]) == (200, "main")
            assert [item["id"] for item in found["items"]] == reference.top(user, 50).ids.tolist()
        wait_for(lambda: server.metric("prerank_shadow_requests_total") == 10)
        assert server.metric("prerank_shadow_overlap_sum") == pytest.approx(sum(overlap))
        # the main model takes an attribute that the other's index does not have
        assert server.post("/v1/top", {"user": USERS[0], "filter": {"movie_id": 7}})[0] == 200
        wait_for(lambda: server.metric("prerank_shadow_requests_total") == 11)
        assert server.metric("prerank_shadow_overlap_count") == 10


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--share", "0.1"], "--share needs --other"),
        (["--shadow"], "--shadow needs --other"),
        (["--other_index", "x"], "--other_index needs --other"),
        (["--other", "OTHER"], "--other: expected either --share, for some of the users, or --shadow"),
        (["--other", "OTHER", "--share", "0.1", "--shadow"], "--other: expected either --share"),
        (["--other", "OTHER", "--share", "1.5"], "--share"),
    ],
)
def test_flags_that_do_not_fit_are_named(flags, message, artefact, other, capsys, monkeypatch):
    monkeypatch.setattr("prerank.service.command.limit_threads", lambda: None)
    flags = [str(other) if flag == "OTHER" else flag for flag in flags]
    assert main(["serve", "--model", str(artefact), "--port", "0", *flags]) == 2
    assert message in capsys.readouterr().err
