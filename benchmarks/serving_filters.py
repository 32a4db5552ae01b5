"""What a filter, a value and a cap cost beside scoring: `python -m benchmarks.serving_filters`.

Items have vectors of 32 numbers, scored by an inner product, 40 categories, 2,000 advertisers and a price. Medians of
one request, one thread, without the user tower.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prerank.attributes import read_attributes
from prerank.caps import Caps
from prerank.item_states import ItemStates
from prerank.items import Rows
from prerank.kernels.vectors import Dot
from prerank.lookup import lookup_of
from prerank.order import best_first
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray
from prerank.terminal import Parser, positive, run, write
from prerank.threads import limit_threads

_WIDTH, _TOP = 32, 100
_SIZES = (10_000, 1_000_000)
_FILTERS: dict[str, dict[str, Any]] = {
    "one of 40 categories": {"category": ["c7"]},
    "half by price": {"price": {"max": 50}},
    "all but one advertiser": {"advertiser": {"not": ["a17"]}},
    "category and price": {"category": ["c7", "c8"], "price": {"max": 50}},
}


def _snapshot(count: int) -> Snapshot:
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "category": pa.array([f"c{number}" for number in range(40)]).take(pa.array(random.integers(0, 40, count))),
            "advertiser": pa.array([f"a{n}" for n in range(2000)]).take(pa.array(random.integers(0, 2000, count))),
            "price": np.round(random.uniform(0, 100, count), 2),
        }
    )
    attributes = read_attributes(Rows(((Path("generated"), table),)), table.column_names, [], Path("generated"))
    vectors = StoredArray(random.normal(size=(1, count, _WIDTH)).astype(np.float32))
    ids = np.arange(count)
    return Snapshot("", (0, 0), ItemStates(ids, {"vectors": vectors}, "float32", attributes), lookup_of(ids))


def _median(answer: Callable[[], object], requests: int) -> float:
    times = []
    for _ in range(requests + 1):
        start = time.perf_counter()
        answer()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.serving_filters", description="What filters cost.")
    parser.add_argument("--requests", type=positive, default=30, help="of each kind and size; default: 30")
    requests = parser.parse_args().requests
    limit_threads()
    kernel = Dot({"scale": np.array(1.0), "bias": np.array(0.0)})
    user = kernel.prepare({"user": np.random.default_rng(1).normal(size=_WIDTH).astype(np.float32)})
    write("| ms a request | " + " | ".join(f"{size:,} items" for size in _SIZES) + " |\n| --- | --- | --- |")
    snapshots = [_snapshot(size) for size in _SIZES]

    def best(of: Snapshot, wanted: dict | None = None, value: str | None = None, caps: Caps | None = None) -> None:
        positions = None if wanted is None else of.meeting(wanted, None)
        numbers = None if value is None else of.numbers(value)
        scores = of.answer(kernel, user, positions, numbers)[-1]
        if caps is None:
            best_first(scores, _TOP)
        else:
            caps.choose(lambda count: best_first(scores, count), positions, _TOP)

    rows: dict[str, Callable[[Snapshot], object]] = {"no filter": best}
    for name, wanted in _FILTERS.items():
        rows[f"filter: {name}"] = functools.partial(best, wanted=wanted)
    rows["value: price"] = lambda of: best(of, value="price")
    rows["at most 3 of an advertiser"] = lambda of: best(of, caps=Caps(of.states.attributes, {"advertiser": 3}))
    for name, answer in rows.items():
        cells = [f"{_median(functools.partial(answer, of), requests):.2f}" for of in snapshots]
        write(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(run(_main))
