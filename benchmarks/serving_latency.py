"""The efficiency table of exported models: latency, storage, index and training time, and load.

    python -m benchmarks.serving_latency --models out/dssm out/hit out/fit out/cold

Everything runs on exported folders alone, SavedModel or ONNX, on one core. A two-tower model gets an index of its own
catalogue, repeated under new ids where that is smaller; a model of one tower scores the same items row by row. Users
are those of `examples.parquet`. Writes OUT.md, OUT.csv and OUT.png.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import serving_report
from benchmarks.serving_stress import stress
from benchmarks.serving_timing import one_tower_request, parts, read_users, seconds, success, write_catalogue
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import InputError
from prerank.layout import CATALOGUE, EXAMPLES
from prerank.terminal import Parser, integers, numbers, positive, run
from prerank.threads import limit_threads
from training.records import read_metrics

_USERS = 200
Result = dict[str, Any]


def _parse(argv: list[str]):
    parser = Parser(prog="python -m benchmarks.serving_latency", description="Time exported models on one core.")
    parser.add_argument("--models", type=Path, nargs="+", required=True, metavar="DIR", help="exported models")
    parser.add_argument("--out", type=Path, default=Path("results/serving_latency"), help="results, less suffix")
    parser.add_argument("--items", type=positive, nargs="+", default=[100, 1000, 10_000], help="cached items")
    parser.add_argument("--requests", type=positive, default=1000, help="requests timed for each number")
    parser.add_argument(
        "--rates", type=positive, nargs="*", default=[50, 100, 200, 500, 1000, 2000, 4000], help="loads"
    )
    parser.add_argument("--seconds", type=numbers(0.001, 86_400), default=3.0, help="how long each load lasts")
    parser.add_argument("--core", type=integers(0, 4095), help="CPU to stay on; default: the first that is allowed")
    parser.add_argument(
        "--stress", type=positive, metavar="N", help="also N requests of 16 threads, the index replaced"
    )
    return parser.parse_args(argv)


def _measure(flags: Any, folder: Path, working: Path) -> Result:
    model = Artefact(folder)
    users = read_users(folder / EXAMPLES, model, _USERS)
    form = model.features["format"]
    result: Result = {"model": model.name, "format": form, "latency": {}, "success": {}, **_training(folder)}
    for count in sorted(flags.items):
        items = write_catalogue(model, folder / CATALOGUE, count, working / f"{model.name}-{count}.parquet")
        if model.decoupled:
            built = build(model, items, working / f"{model.name}-{count}")
            actions = parts(model, working / f"{model.name}-{count}", users, built.states.ids)
            result |= {"index_seconds": built.seconds, "bytes_per_item": built.states.bytes_per_item}
        else:
            actions = {"top 100": one_tower_request(model, users, items)}
            result |= {"index_seconds": None, "bytes_per_item": 0}
        for name, action in actions.items():
            repeats = flags.requests if model.decoupled else max(flags.requests // 10, 10)
            result["latency"][name, count] = seconds(action, repeats)
            print(
                f"{model.name:14}{name:12}{count:7} items {serving_report.milliseconds(result['latency'][name, count])}"
            )
    for rate in flags.rates:
        result["success"][rate] = success(actions["top 100"], rate, flags.seconds)
    print(f"{model.name:14}within 10 ms  " + ", ".join(f"{r}/s {s:.1%}" for r, s in result["success"].items()))
    if flags.stress and model.decoupled:
        _stress(flags.stress, folder, model, users, working)
    return result


def _training(folder: Path) -> Result:
    path = folder / "metrics.json"
    metrics = read_metrics(folder) if path.exists() else {}
    return {
        "training_seconds": metrics.get("seconds"),
        "examples_per_second": metrics.get("examples_per_second"),
        "dataset": metrics.get("dataset"),
        "raw_data": metrics.get("raw_data"),
    }


def _stress(requests: int, folder: Path, model: Artefact, users: list, working: Path) -> None:
    catalogues = tuple(
        write_catalogue(model, folder / CATALOGUE, count, working / f"stress-{count}.parquet") for count in (900, 1000)
    )
    outcome = stress(folder, catalogues, working / f"stress-{model.name}", users[:20], requests=requests)  # type: ignore[arg-type]
    print(
        f"{model.name:14}stress: {outcome.requests.total()} requests of 16 threads on {len(outcome.requests)} versions "
        f"in {outcome.seconds:.1f} s, {len(outcome.wrong)} wrong"
    )
    for problem in outcome.wrong[:5]:
        print(f"  {problem}")


def main() -> None:
    """Measure, print and write.

    Raises:
        InputError: a flag or an exported model is wrong.
    """
    flags = _parse(sys.argv[1:])
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        if flags.core is not None and flags.core not in allowed:
            raise InputError(f"--core: choose of {sorted(allowed)}. Received: {flags.core}")
        os.sched_setaffinity(0, {min(allowed) if flags.core is None else flags.core})
    limit_threads(1)
    with tempfile.TemporaryDirectory() as working:
        results = [_measure(flags, folder, Path(working)) for folder in flags.models]
    serving_report.write(results, flags.items, flags.out)


if __name__ == "__main__":
    sys.exit(run(main))
