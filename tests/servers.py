"""Real servers on loopback for tests, and what they should answer."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from artefacts import export_small, write_items

from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.preranker import PreRanker

ROOT = Path(__file__).parents[1]
IDS = list(range(1, 400, 2))
PATIENCE = 60.0


@pytest.fixture(scope="session")
def artefact(tmp_path_factory):
    """A DSSM as ONNX files with its index; served without TensorFlow."""
    pytest.importorskip("starlette", reason="requirements-serve.txt is not installed")
    pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
    folder = tmp_path_factory.mktemp("served")
    items = write_items(folder / "items.parquet", IDS)
    export_small("dssm", folder / "out", catalogue=items, export_format="onnx")
    attributes = ["movie_id", "genres", "item_mean_rating"]
    catalogue = folder / "out" / "catalogue.parquet"
    build(Artefact(folder / "out"), catalogue, folder / "out" / "index", attributes=attributes)
    return folder / "out"


@pytest.fixture(scope="session")
def reference(artefact):
    """The same model in this process."""
    return PreRanker(artefact)


class Server:
    """A running server.

    Args:
        process: the one that was started, parent of the workers.
        port: where it listens.
    """

    def __init__(self, process, port):
        self.process, self.port = process, port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method, path, body=None, headers=None):
        """Status, body as text, and headers of an answer."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def post(self, path, message):
        """Status and JSON of an answer."""
        body = message if isinstance(message, str | bytes) else json.dumps(message)
        status, text, _ = self.ask("POST", path, body)
        return status, json.loads(text)

    def begin(self, path, body, sent):
        """A connection on which a request is begun, with the first bytes of its body only."""
        connection = self.connect()
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:sent])
        return connection

    def metric(self, name):
        """The sum of a metric's values over its labels."""
        _, text, _ = self.ask("GET", "/metrics")
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


def wait_for(condition):
    """Ask until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def workers(server):
    """Worker processes of a server, without the one that keeps track of what multiprocessing shares."""
    command = ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(server.process.pid)]
    found = subprocess.run(command, capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "spawn_main" in line]


@contextmanager
def serving(model, *flags):
    """A server of `prerank serve` on a free port, ready, and stopped at the end."""
    patient = ["--port", "0", "--timeout", "30"]  # machines that test are busy
    command = [sys.executable, "-m", "prerank", "serve", "--model", str(model), *patient, *map(str, flags)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"at http://127\.0\.0\.1:(\d+) with", line)
        assert found, line + process.stderr.read()
        server = Server(process, int(found[1]))
        wait_for(lambda: process.poll() is not None or _is_ready(server))
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def _is_ready(server):
    try:
        return server.ask("GET", "/readyz")[0] == 200
    except OSError:
        return False
