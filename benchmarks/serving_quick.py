"""Scoring in one thread by the kernel of `dot`: beside the product in plain NumPy, and of many users at once."""

import functools
import itertools
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.alternation import Found, alternate
from prerank.item_states import ItemStates
from prerank.kernels import make_kernel
from prerank.layout import StorageType
from prerank.lookup import lookup_of
from prerank.order import best_first
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray

_WIDTH, _TOP, _USERS = 64, 100, 16
_REPEATS = 50
_WEIGHTS = {"scale": np.ones((), np.float32), "bias": np.zeros((), np.float32)}


def measure(count: int, rounds: int, said: Callable[[str], object]) -> Found:
    """Figures of both sides: milliseconds a request, the median of many.

    Args:
        count: how many items there are.
        rounds: alternations.
        said: takes a line a measurement.
    """
    random = np.random.default_rng(0)
    vectors = random.normal(size=(count, _WIDTH)).astype(np.float32)
    users = random.normal(size=(_USERS, _WIDTH)).astype(np.float32)
    kernel = make_kernel("dot", _WEIGHTS)
    arrays, turn = kernel.arrange({"state": vectors}), itertools.cycle(users)

    def ours() -> np.ndarray:
        user, scores = kernel.prepare({"state": next(turn)}), np.empty(count, np.float32)
        for start in range(0, count, kernel.chunk):
            span = slice(start, start + kernel.chunk)
            scores[span] = kernel.score(user, {name: values[:, span] for name, values in arrays.items()})
        return best_first(scores, _TOP)

    def plain() -> np.ndarray:
        scores = vectors @ next(turn)
        best = np.argpartition(-scores, _TOP)[:_TOP]
        return best[np.argsort(-scores[best])]

    return alternate({"ours": lambda: _timed(ours), "plain NumPy": lambda: _timed(plain)}, rounds, said)


def measure_users(count: int, dtype: StorageType, rounds: int, said: Callable[[str], object]) -> Found:
    """Figures of scoring all items for several users: together, and one after the other.

    Args:
        count: how many items there are.
        dtype: how they are stored.
        rounds: alternations.
        said: takes a line a measurement.
    """
    random = np.random.default_rng(0)
    kernel = make_kernel("dot", _WEIGHTS)
    arranged = kernel.arrange({"state": random.normal(size=(count, _WIDTH)).astype(np.float32)})
    arrays = {name: StoredArray.encode(array, dtype) for name, array in arranged.items()}
    ids = np.arange(count)
    snapshot = Snapshot("v1", (0, 0), ItemStates(ids, arrays, dtype), lookup_of(ids))
    drawn = random.normal(size=(_USERS, _WIDTH)).astype(np.float32)
    users = [kernel.prepare({"state": user}) for user in drawn]
    sides = {
        "ours": lambda: snapshot.answers(kernel, users),
        "one user after the other": lambda: [snapshot.answer(kernel, user) for user in users],
    }
    timed = {side: functools.partial(_timed, run, _REPEATS // 5) for side, run in sides.items()}
    return alternate(timed, rounds, said)


def _timed(request: Callable[[], object], repeats: int = _REPEATS) -> dict[str, float]:
    seconds, busy = [], time.process_time()
    with threadpool_limits(1):
        for _ in range(repeats):
            begun = time.perf_counter()
            request()
            seconds.append(time.perf_counter() - begun)
    busy = time.process_time() - busy
    return {"request, ms": 1e3 * float(np.median(seconds)), "cpu, ms": 1e3 * busy / repeats}
