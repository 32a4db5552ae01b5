"""Writes the report on the runs of a folder."""

import itertools
import math
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.report import changes, figures, files, tables
from experiments.report.csv_files import leaderboard_csv, runs_csv
from experiments.report.document import Document, Part, Section
from experiments.report.entries import Board
from experiments.report.shown import read_record
from experiments.report.table import Table
from experiments.report.tables import Latencies
from experiments.runs import Run, Setting
from experiments.tuned import Tuned
from prerank.csv_rows import read_rows
from prerank.errors import InputError
from prerank.numbers import number

FIGURES, LEADERBOARD, LATENCIES = "figures", "leaderboard.csv", "serving_latency.csv"
_LATENCY_ITEMS = "10000"


def build(found: Sequence[Board], out: Path) -> None:
    """Write `README.md`, `report.html`, the csv files and `figures/` to `out`, when all of them are made.

    Args:
        found: every setting that was run, from :func:`~experiments.report.entries.boards`.
        out: folder of the results; holds what else is shown, `serving_latency.csv` and `tuned/`.

    Raises:
        InputError: there is no run, `serving_latency.csv` in `out` lacks a column, or `out` cannot be written.
    """
    runs = [run for board in found for entry in board.entries for run in entry.runs]
    if not runs:
        raise InputError("there is no run to report on", path=out)
    beside = _Beside.read(found, out)
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch)
        (new / FIGURES).mkdir()
        sections = [_section(mine, plain, beside, new) for mine, plain in _by_data(found, read_record(out))]
        if lost := tables.losses(found):
            sections.append(Section("Runs without a result", [Part(table=lost)]))
        document = Document("Results", _introduction(runs), sections)
        texts = {
            "README.md": document.markdown(new),
            "report.html": document.html(),
            "runs.csv": runs_csv(runs),
            LEADERBOARD: leaderboard_csv(found, beside.latencies, beside.tuned),
        }
        made = files.contents(new) | {Path(name): text.encode() for name, text in texts.items()}
    outdated = [path.relative_to(out) for path in sorted((out / FIGURES).glob("*.png"))]
    files.replace(out, made, [place for place in outdated if place not in made])


def _by_data(found: Sequence[Board], shown: Collection[str]) -> list[tuple[list[Board], bool]]:
    """The settings of each raw data of each data set, and whether their figures go by the data set's name only.

    That is so for a data set's only data, and for those of several that the pages show, which come first.
    """
    groups = [list(mine) for _, mine in itertools.groupby(found, lambda board: (board.setting.dataset, board.data))]
    plain = []
    for mine in groups:
        of_dataset = {b.setting.fingerprint for b in found if b.setting.dataset == mine[0].setting.dataset}
        on_pages = of_dataset.intersection(shown)
        whole = bool(on_pages) and on_pages <= {board.setting.fingerprint for board in mine}
        plain.append(whole or not mine[0].data)
    return sorted(zip(groups, plain, strict=True), key=lambda pair: (pair[0][0].setting.dataset, not pair[1]))


@dataclass(frozen=True)
class _Beside:
    """What lies beside the runs and is shown with them, by setting.

    Attributes:
        latencies: of the models.
        tuned: what tuning found, by model.
    """

    latencies: Mapping[Setting, Latencies]
    tuned: Mapping[Setting, Mapping[str, Tuned]]

    @classmethod
    def read(cls, found: Sequence[Board], out: Path) -> "_Beside":
        known, shown = read_latencies(out / LATENCIES), read_record(out)
        boards = [board for board in found if board.setting.standard]
        return cls(
            {board.setting: _latencies(board, known, shown) for board in boards},
            {board.setting: _tuned(board, out) for board in boards},
        )


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


def _section(mine: list[Board], plain: bool, beside: _Beside, out: Path) -> Section:
    dataset, data = mine[0].setting.dataset, mine[0].data
    standard = [board for board in mine if board.setting.standard]
    strict = next((board for board in standard if board.setting.title == "strict"), None)
    reference = next((board for board in standard if board.setting.title == "reference"), None)
    chosen = [board for board in (strict, reference) if board]

    def figure(name: str, caption: str, draw: Callable[[Path], bool]) -> list[Part]:
        title = re.sub(r"[^\w-]", "_", "-".join([dataset, name] if plain else [dataset, data, name]))
        path = out / FIGURES / f"{title}.png"
        return [Part(figure=path, caption=caption)] if draw(path) else []

    latencies = beside.latencies
    groups = {
        "Models": _parts(
            tables.leaderboard(board, latencies.get(board.setting, {})) for board in standard if board.defaults
        ),
        "Protocols": [
            *_parts([tables.protocols(strict, reference)]),
            *figure("protocols", "AUC under both protocols", lambda path: figures.protocols(path, strict, reference)),
            *_parts([changes.leaks(mine)]),
            *figure("leaks", "what each leak adds to the AUC", lambda path: figures.leaks(path, mine)),
        ],
        "Published results": figure(
            "published", "measured against published AUC", lambda path: figures.against_published(path, chosen)
        ),
        "Latency": figure(
            "latency",
            "AUC against latency",
            lambda path: figures.latency(path, strict, latencies.get(strict.setting, {}) if strict else {}),
        ),
        "Options": _parts(changes.variants(board, lambda entry: True) for board in standard),
        "Tuned options": _parts(changes.tuned(board, beside.tuned[board.setting]) for board in standard),
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
    return Section(f"`{dataset}`" + (f", data `{data}`" if data else ""), parts)


def _parts(found: Iterable[Table | None]) -> list[Part]:
    return [Part(table=table) for table in found if table]


def _latencies(board: Board, known: Mapping[tuple[str, str], Latencies], shown: Collection[str]) -> Latencies:
    """The latencies of a setting's models; what names no data is, if there are several, of those that pages show."""
    dataset, fingerprint = board.setting.dataset, board.setting.fingerprint
    unnamed = known.get((dataset, ""), {}) if not board.data or fingerprint in shown else {}
    named = known.get((dataset, board.raw_data), {}) if board.raw_data else {}
    return {**unnamed, **named}


def _tuned(board: Board, out: Path) -> dict[str, Tuned]:
    """What tuning found for the models of a protocol as it stands, by model."""
    dataset, protocol = board.setting.dataset, board.setting.protocol
    if board.setting.title != protocol:
        return {}
    places = sorted((out / "tuned" / dataset / protocol).glob("*.yaml"))
    found = {place.stem: Tuned.read(out, dataset, protocol, place.stem) for place in places}
    return {model: best for model, best in found.items() if best.data in ("", board.setting.fingerprint)}


def read_latencies(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Median ms of a request for the best 100 of 10,000 items, by data and model, on its fastest runtime.

    Empty without the file. Data are a data set and its raw data, the latter empty in a file that does not name them.

    Raises:
        InputError: it is damaged, or a column is missing: write it again with benchmarks.serving_latency.
    """
    if not path.exists():
        return {}
    found: dict[tuple[str, str], dict[str, float]] = {}
    for line, row in enumerate(read_rows(path, ("dataset", "model", "part", "items", "p50_ms")), 2):
        if (row["part"], row["items"]) == ("top 100", _LATENCY_ITEMS):
            try:
                milliseconds = number(row["p50_ms"], 0)
            except InputError as error:
                raise InputError(f"p50_ms: {error}", path=path, line=line) from error
            known = found.setdefault((row["dataset"], row.get("raw_data") or ""), {})
            known[row["model"]] = min(milliseconds, known.get(row["model"], math.inf))
    return found
