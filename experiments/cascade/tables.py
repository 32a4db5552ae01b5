"""The tables of judged pre-rankers."""

import math
from collections.abc import Sequence

from experiments.cascade.entries import Board, Entry
from experiments.cascade.intervals import Estimate
from experiments.cascade.metrics import STRATA
from experiments.report.table import DASH, Cell, Table, code

_BASES = ("recent_popularity", "popularity")
_REGRET_BASE = "dssm"


def cell(found: Estimate | None, digits: int = 4, interval: bool = True, signed: bool = False) -> Cell:
    """A mean, with its interval if asked."""
    if found is None or math.isnan(found.mean):
        return DASH
    plus = "+z" if signed else ""
    text = f"{found.mean:{plus}.{digits}f}"
    if interval and not math.isnan(found.low):
        text += f" [{found.low:{plus}.{digits}f}, {found.high:{plus}.{digits}f}]"
    return Cell(text, found.mean)


def _number(value: float | None, digits: int) -> Cell:
    return DASH if value is None else Cell(f"{value:.{digits}f}", value)


def _head(entry: Entry) -> list[Cell]:
    seeds = len({record.fields["preranker"]["run"] for record in entry.records})
    return [code(entry.name) if not entry.end else Cell(entry.name), Cell("–" if entry.end else str(seeds), seeds)]


def by_quota(board: Board, metric: str, title: str, digits: int = 4) -> Table:
    """A metric at every quota, with intervals."""
    rows = [
        [*_head(entry), *(cell(board.estimate(entry, metric, quota), digits) for quota in board.quotas)]
        for entry in board.entries
    ]
    return Table(title, ["pre-ranker", "seeds", *(f"quota {quota}" for quota in board.quotas)], rows)


def at_one_quota(board: Board) -> Table:
    """What the final list holds at the middle quota."""
    quota = board.middle
    base = next((found for name in _BASES if (found := board.entry(name))), None)
    names = [
        "recall@10",
        "recall@50",
        "ndcg@10",
        "ndcg@50",
        *(f"recall@50_{stratum}" for stratum in STRATA),
        "unseen@50",
    ]
    rows = []
    for entry in board.entries:
        row = [*_head(entry), *(cell(board.estimate(entry, name, quota), interval=False) for name in names)]
        if base is not None:
            gain = entry.values("recall@50", quota) - base.values("recall@50", quota)
            row.append(cell(board.users.mean(gain), signed=True))
        rows.append(row)
    header = [
        "pre-ranker", "seeds", "recall@10", "recall@50", "NDCG@10", "NDCG@50",
        *(f"recall@50, {stratum}" for stratum in STRATA), "unseen@50",
    ]  # fmt: skip
    if base is not None:
        header.append(f"recall@50 less {base.name}")
    return Table(f"The final list at quota {quota}", header, rows)


def within_pool(board: Board) -> Table:
    """How the pre-ranker orders the pool, its calibration and its time."""
    quota = board.middle
    names = ["survival@10", "survival@50", "agreed", "overlap@10", "overlap@50", "auc", "kendall_tau"]
    rows = []
    for entry in board.entries:
        fields = [record.fields for record in entry.records]
        measured = [found["milliseconds"] for found in fields]
        rows.append([
            *_head(entry),
            *(cell(board.estimate(entry, name, quota), 3, interval=False) for name in names),
            _number(entry.mean_of(found["pcoc"] for found in fields), 3),
            _number(entry.mean_of(found["preranking"] for found in measured), 3),
            _number(entry.mean_of(found["user_state"] for found in measured), 2),
            _number(entry.milliseconds(quota), 2),
        ])  # fmt: skip
    header = [
        "pre-ranker", "seeds", "survival@10", "survival@50", f"agreed, {quota}", "overlap@10", "overlap@50",
        "AUC in the pool", "Kendall's τ", "PCOC", "pre-ranking, ms", "user state, ms", "with ranking, ms",
    ]  # fmt: skip
    first = board.entries[0]
    recall, unseen = (board.estimate(first, name, quota).mean for name in ("pool_recall", "pool_unseen"))
    notes = [f"The pool holds {recall:.4f} of the later positives; {unseen:.4f} of it are unseen items."]
    return Table(f"Within the pool, at quota {quota}", header, rows, notes)


def regret(board: Board) -> Table | None:
    """What the final list loses of the true expected positives; None without a truth."""
    if not board.entries[0].has("regret@50"):
        return None
    quota, base = board.middle, board.entry(_REGRET_BASE)
    names = [f"{name}@{k}" for k in (10, 50) for name in ("true_positives", "regret", "pool_regret")]
    rows = []
    for entry in board.entries:
        row = [*_head(entry), *(cell(board.estimate(entry, name, quota), 3) for name in names)]
        if base is not None:
            ratio = board.users.ratio(entry.values("regret@50", quota), base.values("regret@50", quota))
            row.append(cell(ratio, 3))
        rows.append(row)
    header = ["pre-ranker", "seeds", *(name.replace("_", " ") for name in names)]
    if base is not None:
        header.append(f"regret@50 as a share of `{base.name}`'s")
    return Table(f"True expected positives at quota {quota}", header, rows)


def all_of(board: Board) -> Sequence[Table]:
    """Every table of a board."""
    names = {"true_positives@50": "True expected positives of the final list of 50", "recall@50": "Recall@50"}
    found = [by_quota(board, name, f"{title}, by quota") for name, title in names.items() if board.entries[0].has(name)]
    found.append(
        by_quota(board, "survival@50", "Share of the ranker's best 50 of the pool that is passed on, by quota", 3)
    )
    found += [at_one_quota(board), within_pool(board)]
    lost = regret(board)
    return [*found, lost] if lost else found
