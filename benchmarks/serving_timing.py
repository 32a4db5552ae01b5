"""What one request costs: the parts of a request timed apart, and requests that arrive at a given rate."""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prerank.artefact import Artefact
from prerank.errors import InputError
from prerank.items import columns, read_file, read_table
from prerank.preranker import PreRanker
from prerank.requests import User, UserInputs
from prerank.snapshot import Snapshot

TOP = 100
DEADLINE = 0.010
_WARM = 20


def read_users(path: Path, model: Artefact, count: int) -> list[User]:
    """Users of different rows of a Parquet file, as requests spell them.

    Raises:
        InputError: it cannot be read, or lacks a feature.
    """
    table = read_file(path)
    table = table.take(np.unique(np.linspace(0, len(table) - 1, count).astype(int)))
    users: list[User] = []
    for row in table.to_pylist():
        missing = [field["name"] for field in model.inputs("user") if field["name"] not in row]
        if missing:
            raise InputError(f"column {missing[0]!r} is missing", path=path)
        user = {field["name"]: row[field["name"]] for field in model.inputs("user")}
        users.append({name: None if value != value else value for name, value in user.items()})
    return users


def write_catalogue(model: Artefact, catalogue: Path, count: int, place: Path) -> Path:
    """`count` items of a catalogue; repeated under new ids if it has fewer."""
    table = read_file(catalogue)
    copies = np.arange(count) // len(table)
    table = table.take(np.arange(count) % len(table))
    name = model.item_id
    ids = table[name].to_pylist()
    if pa.types.is_integer(table[name].type):
        step = max(ids) + 1
        new = pa.array(np.asarray(ids) + copies * step, pa.int64())
    else:
        new = pa.array([f"{key}#{copy}" if copy else key for key, copy in zip(ids, copies, strict=True)])
    pq.write_table(table.set_column(table.column_names.index(name), name, new), place)
    return place


def seconds(action: Callable[[], Any], repeats: int) -> np.ndarray:
    """Seconds (repeats,) that each run of `action` took, after some that do not count."""
    for _ in range(_WARM):
        action()
    found = np.empty(repeats)
    for number in range(repeats):
        start = time.perf_counter()
        action()
        found[number] = time.perf_counter() - start
    return found


def parts(model: Artefact, index: Path, users: Sequence[User], ids: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The parts of a request of a two-tower model, each for the next user.

    `user tower` from raw values to state; `scorer` of all items of the index; `top 100` of them, a whole request;
    `candidates`, a whole request that scores the ids given.
    """
    inputs = UserInputs(model.inputs("user"))
    turns = {name: itertools.cycle(users) for name in ("tower", "top", "candidates")}
    state = {name: part[0] for name, part in model.user_tower(inputs.arrays(users[:1])).items()}
    ranker, snapshot = PreRanker(model.folder, index), Snapshot.open(index, model.fingerprint)
    return {
        "user tower": lambda: model.user_tower(inputs.arrays([next(turns["tower"])])),
        "scorer": lambda: snapshot.score(model.kernel, model.kernel.prepare(state)),
        "top 100": lambda: ranker.top(next(turns["top"]), TOP),
        "candidates": lambda: ranker.score(next(turns["candidates"]), ids),
    }


def one_tower_request(model: Artefact, users: Sequence[User], items: Path) -> Callable[[], Any]:
    """A request of a model of one tower: every (user, item) row through the whole model, and the best 100."""
    fields = model.inputs()
    forward = model.signature("serving_default", [field["name"] for field in fields])
    item_values = columns(read_table(items), model.inputs("item"), items)
    inputs, turn = UserInputs(model.inputs("user")), itertools.cycle(users)
    count = len(item_values[0])
    item_columns = {field["name"]: values for field, values in zip(model.inputs("item"), item_values, strict=True)}

    def request() -> np.ndarray:
        of_user = inputs.arrays([next(turn)])
        repeated = {
            field["name"]: np.repeat(values, count, axis=0)
            for field, values in zip(model.inputs("user"), of_user, strict=True)
        }
        logits = forward([{**repeated, **item_columns}[field["name"]] for field in fields])["logit"]
        return np.argsort(-logits)[:TOP]

    return request


def success(action: Callable[[], Any], rate: float, duration: float, seed: int = 0) -> float:
    """Share of requests answered within 10 ms of their arrival, by one worker that serves them in order.

    Args:
        action: one request.
        rate: arrivals a second, at random (a Poisson process), whether the worker is busy or not.
        duration: seconds of arrivals.
        seed: of the arrivals.
    """
    random = np.random.default_rng(seed)
    arrivals = np.cumsum(random.exponential(1 / rate, max(int(rate * duration), 1)))
    begun, within = time.perf_counter(), 0
    for number, arrival in enumerate(arrivals):
        now = time.perf_counter() - begun
        if now < arrival:
            time.sleep(arrival - now)
        elif now > duration * 3:  # hopelessly behind: those that wait are late already
            return within / (len(arrivals) if number else 1)
        action()
        within += time.perf_counter() - begun - arrival <= DEADLINE
    return within / len(arrivals)
