"""A request's scoring in one thread: the kernel of `dot` over stored vectors, beside the product in plain NumPy."""

import itertools
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.alternation import Found, alternate
from prerank.kernels import make_kernel
from prerank.order import best_first

_WIDTH, _TOP, _USERS = 64, 100, 16
_REPEATS = 50


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
    kernel = make_kernel("dot", {"scale": np.ones((), np.float32), "bias": np.zeros((), np.float32)})
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

    def timed(request: Callable[[], np.ndarray]) -> dict[str, float]:
        seconds, busy = [], time.process_time()
        with threadpool_limits(1):
            for _ in range(_REPEATS):
                begun = time.perf_counter()
                request()
                seconds.append(time.perf_counter() - begun)
        busy = time.process_time() - busy
        return {"request, ms": 1e3 * float(np.median(seconds)), "cpu, ms": 1e3 * busy / _REPEATS}

    return alternate({"ours": lambda: timed(ours), "plain NumPy": lambda: timed(plain)}, rounds, said)
