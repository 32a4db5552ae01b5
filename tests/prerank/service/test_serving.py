"""A real server on loopback: answers, wrong requests, bounds, metrics, and an orderly end."""

import json
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from artefacts import users, write_items
from servers import IDS, ROOT, serving, wait_for, workers

from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.preranker import PreRanker


@pytest.fixture(scope="module")
def server(artefact):
    with serving(artefact, "--max_items", 300, "--max_users", 5, "--max_body", 20_000) as running:
        yield running


def test_top_answers_as_the_library_does(server, reference):
    user = users(1)[0]
    status, found = server.post("/v1/top", {"user": user, "n": 7, "exclude": IDS[:50], "candidates": [*IDS[:90], 2]})
    best = reference.top(user, 7, exclude=IDS[:50], candidates=IDS[:90])
    assert status == 200
    assert found["index"] == reference.version == "v000001"
    assert found["unknown"] == [2]
    assert [item["id"] for item in found["items"]] == best.ids.tolist()
    np.testing.assert_allclose([item["logit"] for item in found["items"]], best.scores, rtol=0, atol=1e-6)
    probabilities = 1 / (1 + np.exp(-best.scores.astype(float)))
    np.testing.assert_allclose([item["probability"] for item in found["items"]], probabilities, rtol=0, atol=1e-6)


def test_score_keeps_the_order_and_has_null_for_what_is_unknown(server, reference):
    user = users(1)[0]
    status, found = server.post("/v1/score", {"user": user, "candidates": [7, 2, 3]})
    assert status == 200
    assert [item["id"] for item in found["items"]] == [7, 2, 3]
    assert found["items"][1] == {"id": 2, "logit": None, "probability": None}
    assert found["items"][2]["logit"] == pytest.approx(float(reference.score(user, [3]).scores[0]), abs=1e-6)


def test_a_batch_has_one_answer_a_user(server, reference):
    several = users(5)
    status, found = server.post("/v1/top", {"users": several, "n": 3})
    assert status == 200
    assert [[item["id"] for item in one["items"]] for one in found["results"]] == [
        reference.top(user, 3).ids.tolist() for user in several
    ]


def test_filters_values_and_caps(server, reference):
    wanted = {"filter": {"genres": {"not": ["War"]}, "item_mean_rating": {"min": 0.3}}, "value": "movie_id"}
    status, found = server.post("/v1/top", {"user": USER, "n": 60, **wanted, "at_most": {"genres": 3}})
    best = reference.top(USER, 60, **wanted, at_most={"genres": 3})
    assert (status, 0 < len(best.ids) < 60) == (200, True)
    assert [item["id"] for item in found["items"]] == best.ids.tolist()
    assert [item["value"] for item in found["items"]] == best.values.tolist()
    status, found = server.post("/v1/top", {"user": USER, "candidates": [5], "filter": {"movie_id": 7}})
    assert (status, found["items"], found["unknown"]) == (200, [], [])
    assert server.post("/v1/score", {"user": USER, "candidates": []})[1]["items"] == []


def test_reserved_places(server, reference):
    last = [key for key in reference.top(USER, 200).ids.tolist() if key != 7][-2:]
    asked = {"n": 10, "reserve": [{"places": 2, "candidates": last}, {"places": 1, "filter": {"movie_id": 7}}]}
    status, found = server.post("/v1/top", {"user": USER, **asked})
    ids = [item["id"] for item in found["items"]]
    assert (status, len(ids)) == (200, 10)
    assert {7, *last} <= set(ids)
    assert ids == reference.top(USER, 10, reserve=asked["reserve"]).ids.tolist()
    assert ids[:7] == [key for key in reference.top(USER, 8).ids.tolist() if key != 7][:7]


USER = users(1)[0]


@pytest.mark.parametrize(
    ("path", "message", "field", "says"),
    [
        ("top", "{", "body", "not JSON"),
        ("top", b"\xff{}", "body", "not UTF-8"),
        ("top", "[]", "body", "expected a JSON object"),
        ("top", '{"user": {}, "user": {}}', "body", "'user' occurs twice"),
        ("top", {}, "user", "expected either user or users"),
        ("top", {"user": USER, "users": [USER]}, "user", "expected either user or users"),
        ("top", {"users": []}, "users", "at least 1"),
        ("top", {"users": [USER] * 6}, "users", "at most 5. Received: 6"),
        ("top", {"user": 7}, "user", "valid dictionary"),
        ("top", {"user": {**USER, "age": "old"}}, "user.age", "has to be an integer. Received: 'old'"),
        ("top", {"user": {"user_id": 1}}, "user.gender", "feature 'gender' is missing"),
        ("top", {"user": {**USER, "shoe": 1}}, "user.shoe", "there is no user feature 'shoe'"),
        ("top", {"users": [USER, {**USER, "age": "old"}]}, "users.1.age", "user 2: feature 'age'"),
        ("top", {"user": {**USER, "user_mean_rating": 1e39}}, "user.user_mean_rating", "finite number of 32 bits"),
        ("top", {"user": USER, "n": 0}, "n", "greater than or equal to 1"),
        ("top", {"user": USER, "n": "3"}, "n", "valid integer. Received: '3'"),
        ("top", {"user": USER, "n": True}, "n", "valid integer"),
        ("top", {"user": USER, "n": 301}, "n", "at most 300. Received: 301"),
        ("top", {"user": USER, "m": 3}, "m", "there is no such key"),
        ("top", {"user": USER, "candidates": 3}, "candidates", "valid list"),
        ("top", {"user": USER, "candidates": [1, "x"]}, "candidates", "an item id has to be an integer"),
        ("top", {"user": USER, "candidates": [1, None]}, "candidates.1", "valid"),
        ("top", {"user": USER, "candidates": IDS * 2}, "candidates", "at most 300. Received: 400"),
        ("top", {"user": USER, "exclude": IDS * 2}, "exclude", "at most 300. Received: 400"),
        ("top", {"user": USER, "candidates": [2], "strict": True}, "candidates", "1 of the ids are not in the index"),
        ("score", {"user": USER}, "candidates", "required"),
        ("top", {"user": USER, "filter": ["shoes"]}, "filter", "valid dictionary"),
        ("top", {"user": USER, "filter": {"colour": "red"}}, "filter.colour", "no attribute 'colour'"),
        ("top", {"user": USER, "filter": {"movie_id": {"max": "x"}}}, "filter.movie_id.max", "expected a number"),
        ("top", {"user": USER, "value": "genres"}, "value", "one number an item"),
        ("top", {"user": USER, "at_most": {"genres": 0}}, "at_most.genres", "positive integer"),
        ("top", {"user": USER, "reserve": [{"places": 0}]}, "reserve.0.places", "greater than or equal to 1"),
        ("top", {"user": USER, "reserve": [{"places": 1}]}, "reserve.0", "a filter or candidates"),
        ("top", {"user": USER, "n": 1, "reserve": [{"places": 2, "candidates": []}]}, "reserve", "2 places of a list"),
        ("score", {"user": USER, "candidates": [1], "n": 3}, "n", "there is no such key"),
    ],
)
def test_what_is_wrong_gets_400_and_the_name_of_the_field(server, path, message, field, says):
    status, found = server.post(f"/v1/{path}", message)
    assert (status, found["field"]) == (400, field), found
    assert says in found["error"]
    assert "\n" not in found["error"]


def test_what_is_no_json_request_is_refused(server):
    assert server.ask("POST", "/v1/top", "a=1", {"Content-Type": "text/plain"})[0] == 415
    assert server.ask("GET", "/v1/top")[0] == 405
    status, text, _ = server.ask("GET", "/v2/top")
    assert (status, json.loads(text)["field"]) == (404, None)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded_whether_or_not_it_says_its_length(server, chunked):
    body = json.dumps({"user": USER, "candidates": [1] * 10_000}).encode()
    assert len(body) > 20_000
    connection = server.connect()
    connection.request("POST", "/v1/top", iter([body]) if chunked else body, encode_chunked=chunked, headers=(
        {"Content-Type": "application/json"} | ({"Transfer-Encoding": "chunked"} if chunked else {})
    ))  # fmt: skip
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"] == "expected a body of at most 20,000 bytes"
    connection.close()


def test_health_and_description(server, reference):
    assert json.loads(server.ask("GET", "/healthz")[1]) == {"status": "ok"}
    assert json.loads(server.ask("GET", "/readyz")[1]) == {"status": "ready", "index": "v000001", "items": len(IDS)}
    described = json.loads(server.ask("GET", "/openapi.json")[1])
    user = described["components"]["schemas"]["User"]
    assert set(user["properties"]) == {field["name"] for field in reference.user_fields}
    assert user["required"] == ["user_id", "gender", "age"]
    assert described["components"]["schemas"]["Top"]["properties"]["n"]["maximum"] == 300
    assert {"/v1/top", "/v1/score", "/metrics"} <= set(described["paths"])
    status, page, headers = server.ask("GET", "/docs")
    assert (status, "<script" in page, "/v1/top" in page) == (200, False, True)
    assert headers["content-type"].startswith("text/html")


def test_metrics_count_what_was_asked(server):
    before = {name: server.metric(name) for name in ("prerank_requests_total", "prerank_unknown_ids_total")}
    refused = server.metric("prerank_refused_requests_total")
    server.post("/v1/score", {"user": USER, "candidates": [2, 4, 5]})
    server.post("/v1/score", {"user": USER})
    assert server.metric("prerank_requests_total") == before["prerank_requests_total"] + 2
    assert server.metric("prerank_unknown_ids_total") == before["prerank_unknown_ids_total"] + 2
    assert server.metric("prerank_refused_requests_total") == refused + 1
    assert server.metric("prerank_request_seconds_count") == server.metric("prerank_requests_total")
    assert server.metric("prerank_index_version") == 1
    assert server.metric("prerank_index_items") == len(IDS)
    assert 0 <= server.metric("prerank_index_age_seconds") < 3600
    assert server.metric("prerank_requests_inside") == 0


def test_too_many_requests_are_told_when_to_come_again(artefact):
    body = json.dumps({"user": USER, "n": 3}).encode()
    with serving(artefact, "--concurrency", 1, "--queue", 1, "--timeout", 30) as server:
        begun = [server.begin("/v1/top", body, sent) for sent in (1, 5)]
        wait_for(lambda: server.metric("prerank_requests_inside") == 2)
        status, text, headers = server.ask("POST", "/v1/top", body)
        assert (status, headers["retry-after"]) == (429, "1")
        assert json.loads(text)["error"] == "too many requests at a time, try again"
        assert server.ask("GET", "/healthz")[0] == 200
        for connection, sent in zip(begun, (1, 5), strict=True):
            connection.send(body[sent:])
            assert connection.getresponse().status == 200
        assert server.post("/v1/top", body)[0] == 200


def test_a_body_that_does_not_come_is_given_up(artefact):
    body = json.dumps({"user": USER, "n": 3}).encode()
    with serving(artefact, "--timeout", 3) as server:
        connection = server.begin("/v1/top", body, 4)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (408, "not received within 3 s")
        assert server.post("/v1/top", body)[0] == 200


def test_sigterm_lets_a_request_end_and_takes_no_more(artefact, reference):
    body = json.dumps({"user": USER, "n": 3}).encode()
    with serving(artefact, "--timeout", 30) as server:
        connection = server.begin("/v1/top", body, 4)
        wait_for(lambda: server.metric("prerank_requests_inside") == 1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not _accepts(server.port))
        connection.send(body[4:])
        answer = connection.getresponse()
        assert answer.status == 200
        found = json.loads(answer.read())["items"]
        assert [item["id"] for item in found] == reference.top(USER, 3).ids.tolist()
        assert server.process.wait(30) in (0, -signal.SIGTERM)


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_workers_share_the_port_come_back_and_take_up_a_new_index(artefact, tmp_path):
    first = write_items(tmp_path / "first.parquet", IDS[:20], seed=1)
    second = write_items(tmp_path / "second.parquet", IDS[10:40], seed=2)
    model = Artefact(artefact)
    build(model, first, tmp_path / "index")
    with serving(artefact, "--index", tmp_path / "index", "--workers", 2) as server:
        before = PreRanker(artefact, tmp_path / "index", watch=False).top(USER, 9)
        assert _ids(server) == ("v000001", before.ids.tolist())
        (killed, *_) = workers(server)
        subprocess.run(["kill", "-KILL", str(killed)], check=True)
        wait_for(lambda: len(set(workers(server)) - {killed}) >= 2)
        asked = server.metric("prerank_requests_total")
        assert _ids(server) == ("v000001", before.ids.tolist())
        assert server.metric("prerank_requests_total") == asked + 1
        build(model, second, tmp_path / "index")
        after = PreRanker(artefact, tmp_path / "index").top(USER, 9).ids.tolist()
        wait_for(lambda: _ids(server) == ("v000002", after))


def _ids(server):
    status, found = server.post("/v1/top", {"user": USER, "n": 9})
    assert status == 200
    return found["index"], [item["id"] for item in found["items"]]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--model", "nowhere"], "nowhere/features.json: not an exported model"),
        (["--index", "nowhere"], "no item index"),
        (["--port", "65536"], "--port: expected an integer from 0 to 65535"),
        (["--host", "256.0.0.1"], "--host 256.0.0.1 --port 8501: cannot listen there"),
        (["--timeout", "0"], "--timeout: expected a finite decimal number from 0.001"),
    ],
)
def test_what_cannot_be_served_ends_with_one_line(artefact, flags, says):
    command = [sys.executable, "-m", "prerank", "serve", "--model", str(artefact), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
