"""The tables of the report."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import models
from experiments.defaults import CUTOFFS
from experiments.report import published
from experiments.report.entries import Board, Comparison, Entry, Spread
from experiments.report.table import DASH, Cell, Table, code
from experiments.runs import Run

BASE = "dssm"
Latencies = Mapping[str, float]
"""Median ms of a request for the best 100 of 10,000 items, by model."""


def cell(spread: Spread | None, digits: int = 4, factor: float = 1.0) -> Cell:
    """A metric over the seeds."""
    return DASH if spread is None else Cell(spread.text(digits, factor), spread.mean)


def difference(found: Comparison | None) -> Cell:
    """A difference in AUC with its interval and p."""
    if found is None:
        return DASH
    text = f"{found.difference:+z.4f}"
    if found.low is not None:
        text += f" [{found.low:+z.4f}, {found.high:+z.4f}]"
    if found.p is not None:
        text += f", p {found.p:.3f}" if found.p >= 0.001 else ", p < 0.001"
    return Cell(text, found.difference)


def leaderboard(board: Board, latencies: Latencies) -> Table:
    """Every model with default options under one setting, best first."""
    header = [
        "model", "decoupled", "seeds", "AUC", "LogLoss", "GAUC", "NDCG@10", "Recall@10", "ECE", "RelaImpr, %",
        "AUC less the best baseline's", "parameters", "examples/s", "latency, ms", "published",
    ]  # fmt: skip
    base = board.entry(BASE)
    rows = []
    for entry in board.defaults:
        names = ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece")
        rows.append([
            code(entry.model),
            Cell("yes" if entry.decoupled else "no"),
            Cell(entry.seeds, len(entry.finished)),
            *(cell(entry.spread(name)) for name in names),
            cell(entry.rela_impr(base), 2),
            difference(entry.compare(board.baseline(entry))),
            cell(whole(entry.spread("parameters", None)), 0),
            cell(whole(entry.spread("examples_per_second", None)), 0),
            Cell(f"{latencies[entry.model]:.2f}", latencies[entry.model]) if entry.model in latencies else DASH,
            published_cell(board.setting.dataset, entry.model),
        ])  # fmt: skip
    return Table(heading(board), header, rows, _leaderboard_notes(board))


def whole(spread: Spread | None) -> Spread | None:
    """Without a deviation, which nobody asks of a speed."""
    return spread and Spread(spread.mean, None, spread.seeds)


def _leaderboard_notes(board: Board) -> list[str]:
    notes = []
    if board.defaults and (best := board.baseline(Entry(board.setting, "", (), ()))):
        second = board.baseline(best)
        beside = f"; its own is `{second.model}`" if second else ""
        notes.append(f"Best baseline: `{best.model}`{beside}.")
    if max((len(entry.finished) for entry in board.defaults), default=0) < 2:
        notes.append("One seed, so no standard deviation and no t-test.")
    if any(run.bootstrap is None for entry in board.defaults for run in entry.finished.values()):
        notes.append("Runs without an interval were not measured (`benchmark.py measure`).")
    return notes


def heading(board: Board) -> str:
    """The setting and the size of its parts."""
    rows = board.rows()
    sizes = ", ".join(f"{count:,} {part}" for part, count in rows.items())
    return f"`{board.title}`" + (f": {sizes} rows" if sizes else "")


def published_cell(dataset: str, model: str) -> Cell:
    """The published AUC / LogLoss, a paper each."""
    found = published.of(dataset, model)
    return Cell(", ".join(row.text for row in found), max(row.auc for row in found)) if found else DASH


def protocols(strict: Board | None, reference: Board | None) -> Table | None:
    """Both protocols side by side."""
    if strict is None or reference is None:
        return None
    rows = []
    for entry in reference.defaults:
        other = strict.entry(entry.model)
        if other is None or not entry.finished or not other.finished:
            continue
        gap = entry.mean() - other.mean()
        rows.append([
            code(entry.model),
            cell(entry.spread("auc")),
            cell(other.spread("auc")),
            Cell(f"{gap:+z.4f}", gap),
            cell(entry.spread("logloss")),
            cell(other.spread("logloss")),
            published_cell(entry.setting.dataset, entry.model),
        ])  # fmt: skip
    header = [
        "model", "AUC, `reference`", "AUC, `strict`", "difference", "LogLoss, `reference`", "LogLoss, `strict`",
        "published",
    ]  # fmt: skip
    return Table("`strict` against `reference`", header, rows) if rows else None


def seeds(found: Iterable[Board], names: Sequence[str]) -> Table:
    """Some models with default options under several settings, also by whether training saw the user."""
    rows = [
        [
            Cell(f"`{board.setting.title}`"),
            code(name),
            Cell(entry.seeds, len(entry.finished)),
            *(cell(entry.spread(metric)) for metric in ("auc", "logloss", "gauc")),
            *(cell(entry.spread("auc", part)) for part in ("test_seen_users", "test_unseen_users")),
            published_cell(board.setting.dataset, name),
        ]
        for board in found
        for name in names
        if (entry := board.entry(name))
    ]
    header = [
        "protocol", "model", "seeds", "AUC", "LogLoss", "GAUC", "AUC, seen users", "AUC, unseen users", "published",
    ]  # fmt: skip
    return Table("Over the seeds", header, rows)


def agreement(board: Board) -> Table | None:
    """How far each model's best items are those of the ranking model."""
    measured = [entry for entry in board.defaults if any(run.agreement for run in entry.finished.values())]
    if not measured:
        return None
    agreements = [run.agreement for entry in measured for run in entry.finished.values() if run.agreement]
    measures = ["overlap", "recall"]
    if shows_unseen := any(f"unseen@{CUTOFFS[0]}" in found for found in agreements):  # earlier versions lack it
        measures.append("unseen")
    rows = []
    for entry in measured:
        runs = [run for run in entry.finished.values() if run.agreement]
        names = [f"{measure}@{k}" for measure in measures for k in CUTOFFS]
        rows.append(
            [code(entry.model), Cell("yes" if entry.decoupled else "no"), *(_agreed(runs, name) for name in names)]
        )
    first = agreements[0]
    ranker, of_run = first["ranker"], first["ranker_run"]
    rows.sort(key=lambda row: -(row[2 + len(CUTOFFS) - 1].value or 0))
    header = ["model", "decoupled", *(f"{measure}, top {k}" for measure in measures for k in CUTOFFS)]
    notes = [
        f"The ranking model is `{ranker}`, run `{of_run}`; its own row is of its other seeds, where there are any, "
        f"and its recall of all. {first['users']:,} users of the test part, {first['users_with_positives']:,} with a "
        f"positive; {first['items']:,} items, less those that the user has in the training part."
    ]
    if shows_unseen:
        notes[0] += " Unseen is the share of the best items that the training part lacks."
    return Table(heading(board), header, rows, notes)


def _agreed(runs: Sequence[Run], name: str) -> Cell:
    found = [run.agreement[name] for run in runs if run.agreement and run.agreement.get(name) is not None]
    return Cell(f"{fmean(found):.3f}", fmean(found)) if found else DASH


def models_overview(dataset: str, strict: Board | None, reference: Board | None) -> Table:
    """Every model that was run, decoupled ones first and the best under `strict` first, with its AUC / LogLoss."""
    rows = []
    for name in models.names():
        entry = models.get(name)
        found = [board.entry(name) if board else None for board in (strict, reference)]
        if not any(found):
            continue
        size = next((e.spread("parameters", None) for e in found if e and e.finished), None)
        order = (not entry.decoupled, -found[0].mean() if found[0] and found[0].finished else 0.0)
        row = [code(name), _paper(entry), Cell(entry.kind), Cell("yes" if entry.decoupled else "no")]
        row += [cell(whole(size), 0), *map(auc_and_logloss, found), published_cell(dataset, name)]
        rows.append((order, row))
    header = ["model", "source", "kind", "decoupled", "parameters", "`strict`", "`reference`", "published"]
    return Table("Models", header, [row for _, row in sorted(rows, key=lambda pair: pair[0])])


def models_in_short(strict: Board | None) -> Table:
    """Every model that was run under `strict`, in the order of :func:`models_overview`, with one number."""
    rows = []
    for found in strict.defaults if strict else []:
        entry = models.get(found.model)
        order = (not entry.decoupled, -found.mean() if found.finished else 0.0)
        family = entry.kind.partition(":")[0]
        row = [code(entry.name), _paper(entry), Cell(family), Cell("yes" if entry.decoupled else "no")]
        rows.append((order, [*row, cell(found.spread("auc")) if found.finished else Cell(found.runs[0].status)]))
    header = ["model", "paper", "kind", "decoupled", "AUC, `strict`"]
    return Table("Models", header, [row for _, row in sorted(rows, key=lambda pair: pair[0])])


def _paper(entry: models.ModelEntry) -> Cell:
    return Cell(f"[{entry.source}]({entry.link})" if entry.link else entry.source)


def auc_and_logloss(entry: Entry | None) -> Cell:
    """Both over the seeds; what became of the run if it gave none."""
    if entry is None or not entry.runs:
        return DASH
    auc, logloss = entry.spread("auc"), entry.spread("logloss")
    if auc is None or logloss is None:
        return Cell(entry.runs[0].status)
    return Cell(f"{auc.text()} / {logloss.text()}", auc.mean)


def losses(found: Iterable[Board]) -> Table | None:
    """Runs that diverged or failed, with their last line."""
    rows = []
    every = [(board, entry, run) for board in found for entry in board.entries for run in entry.runs]
    for board, entry, run in every:
        if run.status != "finished":
            lines = run.metrics.get("last_lines") or [run.metrics["reason"]]
            rows.append([
                Cell(run.setting.dataset),
                Cell(board.title),
                code(entry.title),
                Cell(str(run.seed), run.seed),
                Cell(run.status),
                Cell(run.metrics["reason"]),
                Cell("`" + lines[-1].replace("|", "/").replace("`", "'") + "`"),
            ])  # fmt: skip
    header = ["data set", "setting", "model", "seed", "status", "reason", "last line"]
    return Table("Runs that diverged or failed", header, rows) if rows else None
