"""Publishes results: `docs/results`, the pages in `docs/` and README.md, from committed runs only."""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from experiments.cascade import page, records
from experiments.collect import collect
from experiments.defaults import PUBLISHED
from experiments.report import files, shown
from experiments.report.build import FIGURES, LATENCIES, LEADERBOARD, build, read_latencies
from experiments.report.dropped import Row, dropped_figures, dropped_rows, summary
from experiments.report.entries import boards
from experiments.report.facts import PAGES, Facts
from experiments.report.insert import inserted
from experiments.runs import read_all
from experiments.tuned import Tuned
from preprocess.generated import is_generated_name
from prerank.errors import InputError
from prerank.locks import LOCK, locked

README = Path("README.md")
MODELS = Path("docs/models.md")
_COMPARED = ("dataset", "data", "setting", "model", "options", "seeds")
_OF_LATENCY = ("serving_latency.md", "serving_latency.png")


def publish(out: Path, *, drop: bool = False, data: Mapping[str, str] | None = None) -> list[str]:
    """Add the runs of a folder of results to the published ones, and write all that shows them.

    What is written follows from the runs in `docs/results/runs` and from `docs/results/pages.csv`. It is made in a
    folder of its own first: after an error nothing has changed.

    Args:
        out: folder of results, with `runs/` and, if there are, `tuned/` and `serving_latency.csv`. The published folder
            itself, or one without runs, adds nothing.
        drop: publish even if results that are published now would be gone.
        data: by data set the data that README.md and `docs/` are to show, instead of those that they show now.

    Returns:
        What to tell the user.

    Raises:
        InputError: results would be gone, a page cannot be filled in, or a file is damaged or cannot be written.
    """
    with locked(PUBLISHED / LOCK, print) if out.resolve() != PUBLISHED.resolve() else nullcontext():
        return _publish(out, drop, data or {})


def _publish(out: Path, drop: bool, data: Mapping[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch) / "results"
        if PUBLISHED.exists():
            shutil.copytree(PUBLISHED, new, ignore=shutil.ignore_patterns(".*"))  # left by a killed process
        told = [] if out.resolve() == PUBLISHED.resolve() else _add(out, new)
        try:
            facts, pages = _make(new, data)
        except InputError as error:
            raise InputError(str(error).replace(str(new), str(PUBLISHED))) from error
        if not drop:
            _check_kept(new)
        made = files.contents(new)
    outdated = [place for place in files.contents(PUBLISHED) if place not in made]
    record = {Path(name): made.pop(Path(name)) for name in (shown.RECORD, LEADERBOARD)}
    # The record comes last: after a kill the same command still knows what was published.
    files.replace(Path(), {page: text.encode() for page, text in pages.items()}, [])
    files.replace(PUBLISHED, made, outdated)
    files.replace(PUBLISHED, record, [])
    shown_data = sorted({board.setting.dataset for board in facts.shown})
    told += [f"{README} and docs/ show {name} on the data {facts.data(name)}" for name in shown_data]
    return [*told, f"published {PUBLISHED}, {README}, {MODELS} and {', '.join(map(str, PAGES))}"]


def marked(facts: Facts) -> dict[Path, dict[str, str]]:
    """By page that is otherwise written by hand, what its marked places hold."""
    return {
        README: {"findings": facts.fill("findings.md.j2").rstrip(), "models": facts.models_in_short("movielens")},
        MODELS: {"models": facts.models("movielens"), "results": facts.fill("results.md.j2").rstrip()},
    }


def _make(new: Path, data: Mapping[str, str]) -> tuple[Facts, dict[Path, str]]:
    """Write the report in a copy of the published results, and make the texts of the pages."""
    found = boards(read_all(new / "runs"))
    facts = Facts(found, shown.read_record(PUBLISHED), data)
    pages = {page: facts.fill(template) for page, template in PAGES.items()}
    pages |= {page: inserted(page, contents) for page, contents in marked(facts).items()}
    if unused := sorted(data.keys() - {board.setting.dataset for board in facts.shown}):
        raise InputError(f"--data {unused[0]}: README.md and docs/ show no results of this data set")
    new.mkdir(exist_ok=True)
    (new / shown.RECORD).write_text(shown.record(facts.shown), "utf-8")
    build(found, new)
    page.write(new)
    return facts, pages


def _add(out: Path, new: Path) -> list[str]:
    """Add to a copy of the published results what another folder has: runs, tuned options, latencies."""
    every = read_all(out / "runs")
    real = [run for run in every if not is_generated_name(run.setting.dataset)]
    collect(real, new / "runs")
    for file in sorted((out / "tuned").glob("*/*/*.yaml")):
        dataset, protocol, name = file.relative_to(out / "tuned").parts
        Tuned.read(out, dataset, protocol, Path(name).stem)
        if not is_generated_name(dataset):
            _copy(file, new / file.relative_to(out))
    timed = {dataset for dataset, _ in read_latencies(out / LATENCIES)}
    if timed and not any(map(is_generated_name, timed)):
        for name in (LATENCIES, *_OF_LATENCY):
            _copy(out / name, new / name)
    told = [f"{len(real)} runs from {out / 'runs'}"]
    if judged := records.copy_all(out, new):  # those on generated data too, whose truth is known
        told.append(f"{judged} records of the cascade from {out / records.FOLDER}")
    if left_out := len(every) - len(real):
        told.append(f"left out, as on generated data: {left_out} runs")
    return told


def _copy(source: Path, target: Path) -> None:
    """Copy a file.

    Raises:
        InputError: it cannot be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=source) from error


def _check_kept(new: Path) -> None:
    """Raise an error if anything that is published now would be gone.

    README.md and the pages show one data only of a data set. What they have must be there again, whatever data they
    show from now on.
    """
    before, after = (shown.read_rows(folder / LEADERBOARD, _COMPARED) for folder in (PUBLISHED, new))
    lost = dropped_rows(before, after, ("dataset", "setting", "data"))
    lost = lost or dropped_rows(_on_pages(PUBLISHED, before), _on_pages(new, after), ("dataset", "setting"))
    lost += dropped_figures(*(sorted((folder / FIGURES).glob("*.png")) for folder in (PUBLISHED, new)))
    if not before and (PUBLISHED / "README.md").exists():
        lost.append(f"everything, as {LEADERBOARD}, which says what is published, is gone")
    if lost:
        raise InputError(f"--drop is needed, as what is published would lose {summary(lost)}", path=PUBLISHED)


def _on_pages(results: Path, rows: list[dict[str, str]]) -> list[Row]:
    """The rows of the data that the pages show; all of them, if there is no record of that."""
    data = shown.read_record(results)
    return [row for row in rows if row["data"] in data or not data]
