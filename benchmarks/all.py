"""Every area of speed in one command: training, whole jobs, preparation, serving.

    python -m benchmarks.all --quick
    python -m benchmarks.all --rounds 5 --torch_python fbgemm/bin/python --out docs/results/speed

In each area the sides take turns, so that other work on the machine falls on all of them alike: ratios count, single
figures do not. `--quick` takes about ten minutes on two idle cores. Writes OUT.json, with every figure of every round,
and OUT.md, with medians, ratios, the machine, the versions and the load.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benchmarks import serving_quick, train_throughput
from benchmarks.alternation import Found, alternate, medians, ratios, shown
from benchmarks.jobs import ROOT, job
from benchmarks.machine import machine
from native import SWITCH as NATIVE
from prerank.allocator import SWITCH as MALLOC
from prerank.folders import write_text
from prerank.layout import StorageType
from prerank.terminal import Parser, positive, run, write

_OURS = "ours"
_LEVERS = "ours without compiled_rows", "ours without kept_memory"


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: alternations.
        rows: training rows of the table of `training`.
        steps: batches that other systems are timed for.
        ratings: lines of the generated ratings of `jobs` and `preparation`.
        epochs: of a job.
        items: items that are scored.
    """

    rounds: int
    rows: int
    steps: int
    ratings: int
    epochs: int
    items: tuple[int, ...]


QUICK = Size(rounds=2, rows=150_000, steps=20, ratings=100_000, epochs=2, items=(10_000, 100_000))
FULL = Size(rounds=5, rows=1_000_000, steps=60, ratings=1_000_000, epochs=5, items=(10_000, 100_000, 1_000_000))


def _training(size: Size, torch_python: str, scratch: Path) -> dict[str, Found]:
    """A training epoch of the two-tower model beside deepctr's, PyTorch's and fbgemm's, and without our levers."""
    flags = ["--rows", str(size.rows), "--stock_steps", str(size.steps), "--torch_python", torch_python]
    options = train_throughput.read_options([*flags, "--rounds", str(size.rounds)])
    sides = [*train_throughput.available(options), *_LEVERS]
    return {"dssm": train_throughput.compare(sides, "dssm", options, scratch / "table")}


def _ratings(size: Size, scratch: Path) -> Path:
    place = scratch / "ratings"
    if not place.exists():
        command = [sys.executable, "-m", "preprocess.generate", "--dataset", "movielens", "--rows", str(size.ratings)]
        subprocess.run([*command, "--out", str(place)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return place


def _jobs(size: Size, torch_python: str, scratch: Path) -> dict[str, Found]:
    """A whole job of the training script on prepared data: imports, training, evaluation."""
    flags = ["--data_path", str(_ratings(size, scratch)), "--prepared_dir", str(scratch / "prepared"), "--overwrite"]
    flags += ["--output_dir", str(scratch / "runs"), "--device", "cpu"]
    job([*flags, "--prepare_only"])
    found = {}
    for model in ("dssm", "hit"):
        one = functools.partial(job, [*flags, "--model_name", model, "--epoch", str(size.epochs)])
        sides = {
            _OURS: one,
            _LEVERS[0]: functools.partial(one, {NATIVE: "off"}),
            _LEVERS[1]: functools.partial(one, {MALLOC: "default"}),
        }
        found[model] = alternate(sides, size.rounds, write)
    return found


def _preparation(size: Size, torch_python: str, scratch: Path) -> dict[str, Found]:
    """Preparing the ratings from raw files, each time anew."""
    ratings, turns = _ratings(size, scratch), iter(range(10_000))

    def prepare(environment: Mapping[str, str]) -> dict[str, float]:
        flags = ["--data_path", str(ratings), "--prepared_dir", str(scratch / f"prepared-{next(turns)}")]
        return job([*flags, "--prepare_only"], environment)

    sides = {_OURS: functools.partial(prepare, {}), _LEVERS[1]: functools.partial(prepare, {MALLOC: "default"})}
    return {"movielens": alternate(sides, size.rounds, write)}


def _serving(size: Size, torch_python: str, scratch: Path) -> dict[str, Found]:
    """One thread, vectors of 64: all items for a user and the best 100 of them; scores of all items for 16 users."""
    found = {f"{count:,} items": serving_quick.measure(count, size.rounds, write) for count in size.items}
    for dtype in get_args(StorageType):
        measured = serving_quick.measure_users(size.items[0], dtype, size.rounds, write)
        found[f"{size.items[0]:,} items, {dtype}, 16 users"] = measured
    return found


AREAS: dict[str, Callable[[Size, str, Path], dict[str, Found]]] = {
    "training": _training,
    "jobs": _jobs,
    "preparation": _preparation,
    "serving": _serving,
}


def page(areas: Mapping[str, Mapping[str, Found]], made_on: Mapping[str, Any]) -> str:
    """What was found as Markdown: of each area a table of medians, and each side's ratio to ours."""
    versions = ", ".join(f"{name} {version}" for name, version in made_on["versions"].items() if version)
    lines = [
        "# Speed",
        "",
        "Written by `python -m benchmarks.all`; no number here is typed. Medians of the rounds; ratios are those of",
        "alternating measurements: the median, then the least and the largest.",
        "",
        f"{made_on['processor']}, {made_on['cores']} cores, {made_on['system']}; load {made_on['load']} at the start. "
        f"Python {made_on['python']}, {versions}.",
    ]
    for area, tables in areas.items():
        lines += ["", f"## {area.capitalize()}", "", (AREAS[area].__doc__ or "").strip()]
        for title, found in tables.items():
            lines += ["", f"### `{title}`", "", *_table(found)]
    return "\n".join(lines) + "\n"


def _table(found: Found) -> list[str]:
    names = list(found[_OURS][0])
    counted = [name for name in names if all(row.get(name, 0) > 0 for rows in found.values() for row in rows)][:2]
    header = [*names, *(f"{name}, ratio to ours" for name in counted)]
    lines = [f"| | {' | '.join(header)} |", "| --- " * (len(header) + 1) + "|"]
    for side, rows in found.items():
        middle = medians(rows)
        cells = [f"{middle[name]:,.4g}" if name in middle else "–" for name in names]
        cells += [shown(ratios(found, side, _OURS, name)) for name in counted]
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print and write.

    Raises:
        InputError: a flag is wrong, or a script failed.
    """
    parser = Parser(prog="python -m benchmarks.all", description="Measure every area of speed.")
    parser.add_argument("--quick", action="store_true", help="less data and fewer rounds: about ten minutes")
    parser.add_argument("--rounds", type=positive, help="alternations; default: 5, or 2 with --quick")
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS), help="default: all")
    parser.add_argument("--torch_python", default=sys.executable, help="the Python that has PyTorch and fbgemm")
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="results, less suffix")
    flags = parser.parse_args()
    size = QUICK if flags.quick else FULL
    if flags.rounds:
        size = Size(**{**vars(size), "rounds": flags.rounds})
    made_on, found = machine(), {}
    with tempfile.TemporaryDirectory() as scratch:
        for area in flags.areas:
            write(area)
            found[area] = AREAS[area](size, flags.torch_python, Path(scratch))
            # After each area, so that what was found stays if the next one fails.
            write_text(
                flags.out.with_suffix(".json"), json.dumps({"machine": made_on, "areas": found}, indent=1) + "\n"
            )
            write_text(flags.out.with_suffix(".md"), page(found, made_on))
    write(
        f"written: {flags.out.with_suffix('.json')}, {flags.out.with_suffix('.md')}; load now {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(run(main))
