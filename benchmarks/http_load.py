"""The HTTP service under load, beside the same requests in this process: `python -m benchmarks.http_load`.

    python -m benchmarks.http_load --models out/dssm out/hit out/fit --clients 8 --seconds 10

Each model gets an index of its own catalogue, repeated under new ids up to `--items`. Clients on loopback ask for the
best 100 items of one user after another, each on a connection of its own, as fast as answers come. They share the
machine with the service.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.serving_timing import TOP, parts, read_users, seconds, write_catalogue
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.layout import CATALOGUE, EXAMPLES
from prerank.terminal import Parser, positive, run, write

_USERS = 200
_PATIENCE = 60.0
_HEAD = "POST /v1/top HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@dataclass
class Load:
    """What came of a load.

    Attributes:
        seconds: of each answered request.
        statuses: how many answers of each status there were.
        lasted: seconds.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lasted: float = 0.0

    def line(self) -> str:
        """Requests a second, and percentiles in ms."""
        middle, late = np.percentile(1000 * np.array(self.seconds), [50, 99])
        return f"{len(self.seconds) / self.lasted:.0f} | {middle:.2f} | {late:.2f}"


async def _client(port: int, bodies: Sequence[bytes], end: float, load: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        turn = 0
        while time.perf_counter() < end:
            body = bodies[turn % len(bodies)]
            turn += 1
            start = time.perf_counter()
            writer.write(_HEAD.format(len(body)).encode() + body)
            status = await _answer(reader)
            load.seconds.append(time.perf_counter() - start)
            load.statuses[status] += 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer, whose body is read."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"^content-length: (\d+)", head, re.MULTILINE | re.IGNORECASE)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split()[1])


async def ask(port: int, bodies: Sequence[bytes], clients: int, lasting: float) -> Load:
    """Ask with so many clients for so many seconds.

    Args:
        port: of the service, on this machine.
        bodies: of requests, which every client sends one after another, from another one on.
        clients: how many ask at a time.
        lasting: seconds.
    """
    load, start = Load(), time.perf_counter()
    shifted = [[*bodies[number:], *bodies[:number]] for number in range(clients)]
    await asyncio.gather(*(_client(port, some, start + lasting, load) for some in shifted))
    load.lasted = time.perf_counter() - start
    return load


@contextmanager
def _serving(model: Path, index: Path, workers: int) -> Iterator[int]:
    command = [sys.executable, "-m", "prerank", "serve", "--model", str(model), "--index", str(index), "--port", "0"]
    command += ["--workers", str(workers), "--timeout", "30", "--queue", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # a pipe was asked for
        found = re.search(r":(\d+) with", process.stdout.readline())
        if found is None:
            raise RuntimeError(f"{model}: the service did not start")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _measure(folder: Path, items: int, clients: int, lasting: int, workers: int, working: Path) -> None:
    model = Artefact(folder)
    users = read_users(folder / EXAMPLES, model, _USERS)
    index = working / model.name
    built = build(model, write_catalogue(model, folder / CATALOGUE, items, working / f"{model.name}.parquet"), index)
    inside = 1000 * seconds(parts(model, index, users, built.states.ids)["top 100"], 200)
    bodies = [json.dumps({"user": user, "n": TOP}).encode() for user in users]
    with _serving(folder, index, workers) as port:
        asyncio.run(ask(port, bodies, 1, 1.0))
        alone = asyncio.run(ask(port, bodies, 1, lasting / 2))
        loaded = asyncio.run(ask(port, bodies, clients, lasting))
    wrong = sum(count for status, count in (alone.statuses + loaded.statuses).items() if status != 200)
    middle, late = np.percentile(inside, [50, 99])
    write(f"| {model.name} | {middle:.2f} | {late:.2f} | {alone.line()} | {loaded.line()} | {wrong} |")


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.http_load", description="The HTTP service under load.")
    parser.add_argument("--models", type=Path, nargs="+", required=True, metavar="DIR", help="exported models")
    parser.add_argument("--items", type=positive, default=10_000, help="items of the index; default: 10,000")
    parser.add_argument("--clients", type=positive, default=8, help="that ask at a time; default: 8")
    parser.add_argument("--seconds", type=positive, default=10, help="how long; default: 10")
    parser.add_argument("--workers", type=positive, default=1, help="processes of the service; default: 1")
    flags = parser.parse_args()
    of_load = "requests/s | p50 | p99"
    write(f"| model | in process p50 | p99 | one client: {of_load} | {flags.clients} clients: {of_load} | not 200 |")
    write("| --- " * 10 + "|")
    with tempfile.TemporaryDirectory() as working:
        for folder in flags.models:
            _measure(folder, flags.items, flags.clients, flags.seconds, flags.workers, Path(working))


if __name__ == "__main__":
    sys.exit(run(_main))
