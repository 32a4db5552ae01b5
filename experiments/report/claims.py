"""The published claims, that a paper's model is better than its baselines, beside what was measured."""

from experiments.report import published
from experiments.report.entries import Board, Comparison
from experiments.report.published import PROPOSED
from experiments.report.table import DASH, Cell, Table
from experiments.report.tables import difference

_VERDICTS = {
    "better": "holds",
    "no different": "is not shown",
    "worse": "is reversed",
    "not known": "is open",
}


def claims(dataset: str, reference: Board | None, strict: Board | None) -> Table:
    """Every paper's model against every baseline of its table: published and measured difference in AUC."""
    rows = []
    for paper, model in PROPOSED.items():
        known = {row.model: row for row in published.results() if (row.paper, row.dataset) == (paper, dataset)}
        for baseline, row in known.items():
            if baseline != model:
                gain = known[model].auc - row.auc
                found = [_compare(board, model, baseline) for board in (reference, strict)]
                measured = [cell for comparison in found for cell in (difference(comparison), verdict(comparison))]
                rows.append([Cell(paper), Cell(f"`{model}` over `{baseline}`"), Cell(f"{gain:+.4f}", gain), *measured])
    header = [
        "paper", "claim", "published gain in AUC", "measured under `reference`", "claim under `reference`",
        "measured under `strict`", "claim under `strict`",
    ]  # fmt: skip
    return Table("Published gains", header, rows)


def _compare(board: Board | None, model: str, baseline: str) -> Comparison | None:
    mine, other = (board.entry(model), board.entry(baseline)) if board else (None, None)
    return mine.compare(other) if mine and other else None


def verdict(found: Comparison | None) -> Cell:
    """Whether a claimed gain holds."""
    return Cell(_VERDICTS[found.verdict]) if found else DASH
