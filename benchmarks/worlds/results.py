"""Judged worlds as csv files and a page of tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.worlds import figures
from benchmarks.worlds.design import BIASES, PLAIN, TABLES, Comparison, Size
from benchmarks.worlds.pages import page
from benchmarks.worlds.world import World
from experiments.cascade.entries import Board, Entry
from experiments.cascade.intervals import Estimate
from experiments.cascade.metrics import CUTOFFS
from experiments.runs import Run
from prerank import folders

README = "README.md"


@dataclass(frozen=True)
class Line:
    """A pre-ranker at a quota, by the first `length` items of the final list.

    Attributes:
        world, seed: which world.
        model, way: the pre-ranker and how it was trained; an end of the scale has no way.
        quota, length: items that are passed on, and items of the final list that count.
        best: expected positives of the best possible list of the catalogue.
        true_positives: expected positives of the list.
        regret: what it lacks of the best possible list.
        share: its regret as a share of that of the same model with default options.
        pool_share: the same of the regret against the best list of the pool.
        preranking_ms, user_state_ms: milliseconds a request.
        auc: of rated rows of the test part.
        epochs, seconds, rows_per_second: of training.
    """

    world: str
    seed: int
    model: str
    way: str
    quota: int
    length: int
    best: float
    true_positives: Estimate
    regret: Estimate
    share: Estimate | None
    pool_share: Estimate | None
    preranking_ms: float | None
    user_state_ms: float | None
    auc: float | None
    epochs: int | None
    seconds: float | None
    rows_per_second: float | None


def write(out: Path, work: Path, size: Size) -> None:
    """Write `<table>.csv` and README.md of all judged worlds below a folder of work.

    Raises:
        InputError: a record is damaged, or the folder cannot be written.
    """
    found: dict[str, list[Line]] = {}
    for table in TABLES.values():
        lines = [line for world in _worlds(work, size) if world.is_judged(table) for line in lines_of(world, table)]
        if lines:
            found[table.name] = lines
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in found.items():
        folders.write_text(out / f"{name}.csv", csv_of(lines))
    if figures.NAME in found:
        figures.draw(out)
    folders.write_text(out / README, page(found, size))


def _worlds(work: Path, size: Size) -> list[World]:
    found: list[World] = []
    for place in work.iterdir():
        name, _, seed = place.name.partition("-")
        found += [World(place, bias, int(seed), size) for bias in BIASES if bias == name and seed.isdigit()]
    return sorted(found, key=lambda world: (BIASES.index(world.bias), world.seed))


def lines_of(world: World, table: Comparison) -> list[Line]:
    """All lines of a table of one world."""
    board = world.judge(table)
    by_run = {entry.records[0].fields["preranker"]["run"]: entry for entry in board.entries if not entry.end}
    found: list[Line] = []
    plain: dict[str, Entry] = {}
    for student, run in world.judged(table):
        entry = by_run[run.folder.name]
        if student.way.name == PLAIN:  # the first way of each model
            plain[student.model] = entry
        found += _lines(world, board, student.model, student.way.name, entry, plain.get(student.model), run)
    for entry in board.entries:
        if entry.end:
            found += _lines(world, board, entry.name, "", entry)
    return found


def _lines(
    world: World, board: Board, model: str, way: str, entry: Entry, plain: Entry | None = None, run: Run | None = None
) -> list[Line]:
    times = entry.records[0].fields["milliseconds"]
    metrics = {} if run is None else run.metrics
    found = []
    for quota in board.quotas:
        for length in CUTOFFS:
            value, lost = (board.estimate(entry, f"{name}@{length}", quota) for name in ("true_positives", "regret"))
            share = pool_share = None
            if plain is not None:
                share, pool_share = (
                    board.users.ratio(*(which.values(f"{name}@{length}", quota) for which in (entry, plain)))
                    for name in ("regret", "pool_regret")
                )
            found.append(
                Line(
                    world.bias,
                    world.seed,
                    model,
                    way,
                    quota,
                    length,
                    value.mean + lost.mean,
                    value,
                    lost,
                    share,
                    pool_share,
                    times["preranking"],
                    times["user_state"],
                    metrics["test"]["auc"] if metrics else None,
                    metrics.get("epochs"),
                    metrics.get("seconds"),
                    metrics.get("examples_per_second"),
                )
            )
    return found


def csv_of(lines: Sequence[Line]) -> str:
    """A line for each pre-ranker, quota and length of the list; an estimate has three columns."""
    header: list[str] = []
    for field in fields(Line):
        estimated = "Estimate" in str(field.type)
        header += [f"{field.name}{what}" for what in ("", "_low", "_high")] if estimated else [field.name]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        row: list[object] = []
        for field, value in zip(fields(Line), (getattr(line, field.name) for field in fields(Line)), strict=True):
            if "Estimate" in str(field.type):
                row += [None] * 3 if value is None else [value.mean, value.low, value.high]
            else:
                row.append(value)
        writer.writerow([f"{value:.5g}" if isinstance(value, float) else value for value in row])
    return text.getvalue()
