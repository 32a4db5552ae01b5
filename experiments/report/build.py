"""Writes the report on the runs of a folder."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.report import changes, figures, tables
from experiments.report.csv_files import leaderboard_csv, runs_csv
from experiments.report.document import Document, Part, Section
from experiments.report.entries import Board
from experiments.report.table import Table
from experiments.report.tables import Latencies
from experiments.runs import Run
from experiments.tuned import Tuned
from prerank.csv_rows import read_rows
from prerank.errors import InputError
from prerank.numbers import number
from training.run_folder import write_text

_LATENCY_ITEMS = "10000"


def build(found: Sequence[Board], out: Path) -> None:
    """Write `README.md`, `report.html`, the csv files and `figures/` to `out`.

    Args:
        found: every setting that was run, from :func:`~experiments.report.entries.boards`.
        out: folder of the results; holds what else is shown, `serving_latency.csv` and `tuned/`.

    Raises:
        InputError: there is no run, or `serving_latency.csv` in `out` lacks a column.
    """
    runs = [run for board in found for entry in board.entries for run in entry.runs]
    if not runs:
        raise InputError("there is no run to report on", path=out)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    latencies = read_latencies(out / "serving_latency.csv")
    of_dataset = {name: list(mine) for name, mine in itertools.groupby(found, lambda board: board.setting.dataset)}
    sections = [_section(name, mine, latencies.get(name, {}), out) for name, mine in of_dataset.items()]
    if lost := tables.losses(runs):
        sections.append(Section("Runs without a result", [Part(table=lost)]))
    document = Document("Results", _introduction(runs), sections)
    write_text(out / "README.md", document.markdown(out))
    write_text(out / "report.html", document.html())
    write_text(out / "leaderboard.csv", leaderboard_csv(found))
    write_text(out / "runs.csv", runs_csv(runs))


def _introduction(runs: Sequence[Run]) -> list[str]:
    count = {status: sum(run.status == status for run in runs) for status in ("finished", "diverged", "failed")}
    return [
        "Written by `python benchmark.py report` from the runs in `runs/`; no number here is typed. "
        f"{len(runs)} runs: {', '.join(f'{number} {status}' for status, number in count.items())}. "
        "Values are mean ± standard deviation over the seeds, of the test part. `leaderboard.csv` has them in full, "
        "`runs.csv` every run, `report.html` the same with tables that sort.",
        "RelaImpr is relative to `dssm` of the same seed. The best baseline is the other decoupled model of the best "
        "mean test AUC. The difference to its AUC is the mean over the seeds that both have; in brackets the 95 % "
        "interval, bootstrap over the test part's users; then p of a paired t-test over the seeds. Latency is the "
        "median request for the best 100 of 10,000 items on the model's fastest runtime, from `serving_latency.csv`. "
        "Examples/s are those of the runs as they came, some beside each other: compare models by docs/performance.md.",
    ]


def _section(dataset: str, mine: list[Board], latencies: Latencies, out: Path) -> Section:
    standard = [board for board in mine if board.setting.standard]
    strict = next((board for board in standard if board.setting.title == "strict"), None)
    reference = next((board for board in standard if board.setting.title == "reference"), None)
    chosen = [board for board in (strict, reference) if board]

    def figure(name: str, caption: str, draw: Callable[[Path], bool]) -> list[Part]:
        path = out / "figures" / f"{dataset}-{name}.png"
        return [Part(figure=path, caption=caption)] if draw(path) else []

    groups = {
        "Models": _parts(tables.leaderboard(board, latencies) for board in standard if board.defaults),
        "Protocols": [
            *_parts([tables.protocols(strict, reference)]),
            *figure("protocols", "AUC under both protocols", lambda path: figures.protocols(path, strict, reference)),
            *_parts([changes.leaks(mine)]),
        ],
        "Published results": figure(
            "published", "measured against published AUC", lambda path: figures.against_published(path, chosen)
        ),
        "Latency": figure("latency", "AUC against latency", lambda path: figures.latency(path, strict, latencies)),
        "Options": _parts(changes.variants(board, lambda entry: True) for board in standard),
        "Tuned options": _parts(changes.tuned(board, _tuned(board, out)) for board in standard),
        "Heads": [
            *_parts([changes.heads(chosen)]),
            *figure("heads", "AUC of hit by the number of heads", lambda path: figures.heads(path, chosen)),
        ],
        "Agreement with a ranking model": _parts(map(tables.agreement, standard)),
    }
    parts = [
        replace(part, heading=heading if number == 0 else "")
        for heading, group in groups.items()
        for number, part in enumerate(group)
    ]
    return Section(f"`{dataset}`", parts)


def _parts(found: Iterable[Table | None]) -> list[Part]:
    return [Part(table=table) for table in found if table]


def _tuned(board: Board, out: Path) -> dict[str, Tuned]:
    """What tuning found for the models of a protocol as it stands, by model."""
    dataset, protocol = board.setting.dataset, board.setting.protocol
    if board.setting.title != protocol:
        return {}
    files = sorted((out / "tuned" / dataset / protocol).glob("*.yaml"))
    return {file.stem: Tuned.read(out, dataset, protocol, file.stem) for file in files}


def read_latencies(path: Path) -> dict[str, dict[str, float]]:
    """Median ms of a request for the best 100 of 10,000 items, by data set and model, on its fastest runtime.

    Empty without the file.

    Raises:
        InputError: it is damaged, or a column is missing: write it again with benchmarks.serving_latency.
    """
    if not path.exists():
        return {}
    found: dict[str, dict[str, float]] = {}
    for line, row in enumerate(read_rows(path, ("dataset", "model", "part", "items", "p50_ms")), 2):
        if (row["part"], row["items"]) == ("top 100", _LATENCY_ITEMS):
            try:
                milliseconds = number(row["p50_ms"], 0)
            except InputError as error:
                raise InputError(f"p50_ms: {error}", path=path, line=line) from error
            known = found.setdefault(row["dataset"], {})
            known[row["model"]] = min(milliseconds, known.get(row["model"], math.inf))
    return found
