"""A minute of requests while the index is replaced, items removed and workers killed; every answer is checked."""

import http.client
import json
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
from artefacts import users, write_items
from servers import IDS, serving, workers

from prerank.artefact import Artefact
from prerank.build_index import build, remove_items
from prerank.preranker import PreRanker

SECONDS = float(os.environ.get("PRERANK_SOAK_SECONDS", "60"))
CLIENTS = 4
USERS = users(30, seed=5)
WANTED = {"n": 15, "filter": {"genres": {"not": ["War"]}}, "value": "movie_id", "at_most": {"genres": 9}}


class Client(threading.Thread):
    """Asks one question after another on one connection, and keeps the answers."""

    def __init__(self, server, stop, number):
        super().__init__(daemon=True)
        self.server, self.stop, self.random = server, stop, random.Random(number)
        self.answers, self.lost, self.wrong = [], 0, []

    def run(self):
        connection = self.server.connect()
        while not self.stop.is_set():
            user = self.random.randrange(len(USERS))
            body = json.dumps({"user": USERS[user], **WANTED})
            try:
                connection.request("POST", "/v1/top", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):  # its worker was killed
                self.lost += 1
                connection.close()
                connection = self.server.connect()
                continue
            if answer.status == 200:
                self.answers.append((user, text))
            else:
                self.wrong.append((answer.status, text))


def resident(process):
    """Bytes of memory that a process holds, without what files are mapped."""
    with open(f"/proc/{process}/status") as file:
        (line,) = [line for line in file if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_every_answer_is_that_of_the_version_it_names(artefact, tmp_path):
    model, out, chance = Artefact(artefact), tmp_path / "index", random.Random(0)
    attributes = ["movie_id", "genres"]
    catalogues = [write_items(tmp_path / f"{seed}.parquet", IDS, seed=seed) for seed in range(3)]
    changes = write_items(tmp_path / "changes.parquet", [*IDS[:20], *range(2, 60, 2)], seed=9)
    oracles = {}

    def after(_):
        ranker = PreRanker(artefact, out, watch=False)
        oracles[ranker.version] = ranker

    after(build(model, catalogues[0], out, attributes=attributes))
    changers = [
        lambda: build(model, chance.choice(catalogues), out, attributes=attributes),
        lambda: build(model, changes, out, update=True, remove=np.array(chance.sample(IDS[20:], 5))),
        lambda: remove_items(model, out, np.array(chance.sample(IDS[20:], 3))),
    ]
    stop, killed, memory = threading.Event(), 0, []
    with serving(artefact, "--index", out, "--workers", 2, "--timeout", 20) as server:
        clients = [Client(server, stop, number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        end = time.monotonic() + SECONDS
        turn = 0
        while time.monotonic() < end:
            after(chance.choice(changers)())
            turn += 1
            if turn % 10 == 0:
                os.kill(chance.choice(workers(server)), signal.SIGKILL)
                killed += 1
            memory.append(max(map(resident, workers(server)), default=0))
            time.sleep(0.5)
        stop.set()
        for client in clients:
            client.join(60)
    answers = [answer for client in clients for answer in client.answers]
    assert [client.wrong for client in clients] == [[]] * CLIENTS
    assert len(answers) > 20 * SECONDS
    assert sum(client.lost for client in clients) <= killed * CLIENTS
    seen = {}
    for user, text in answers:
        found = json.loads(text)
        key = (user, found["index"])
        if key not in seen:
            seen[key] = oracles[found["index"]].top(USERS[user], **WANTED).to_dict()
        expected = seen[key]["items"]
        assert [item["id"] for item in found["items"]] == [item["id"] for item in expected]
        for item, other in zip(found["items"], expected, strict=True):
            assert item["value"] == pytest.approx(other["value"], rel=1e-4)
    assert len({version for _, version in seen}) > SECONDS / 6
    third = len(memory) // 3
    assert max(memory[-third:]) < max(memory[third : 2 * third]) + (32 << 20)
