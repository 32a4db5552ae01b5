"""The report's numbers as csv files."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.report.entries import Board, Entry
from experiments.report.tables import BASE
from experiments.runs import Run, variant_title

_METRICS = ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece")
_WHOLE = ("epochs", "best_epoch", "parameters", "examples_per_second", "seconds")


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Every entry with the mean and standard deviation of its metrics, and its comparison.

    An entry with default options is compared with the best baseline, another with the default options of its model.
    """
    return _csv(_entry_row(board, entry) for board in boards for entry in [*board.defaults, *board.variants])


def _entry_row(board: Board, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dataset": board.setting.dataset,
        "setting": board.setting.title,
        "model": entry.model,
        "options": variant_title(entry.variant),
        "seeds": len(entry.finished),
    }
    for name in _METRICS:
        spread = entry.spread(name)
        row |= {f"{name}_mean": spread and spread.mean, f"{name}_sd": spread and spread.deviation}
    gain = entry.rela_impr(board.entry(BASE))
    found = entry.compare(board.entry(entry.model) if entry.variant else board.baseline(entry))
    return row | {
        "validation_auc_mean": entry.mean("auc", "validation"),
        "rela_impr_percent": gain and gain.mean,
        "compared_with": found and found.other,
        "auc_difference": found and found.difference,
        "auc_difference_low": found and found.low,
        "auc_difference_high": found and found.high,
        "p": found and found.p,
        "parameters": entry.mean("parameters", None),
        "examples_per_second": entry.mean("examples_per_second", None),
    }


def runs_csv(runs: Sequence[Run]) -> str:
    """Every run with its test metrics."""
    return _csv(map(_run_row, runs))


def _run_row(run: Run) -> dict[str, Any]:
    test, validation = run.metrics.get("test") or {}, run.metrics.get("validation") or {}
    return {
        "dataset": run.setting.dataset,
        "setting": run.setting.title,
        "model": run.model,
        "options": variant_title(run.variant),
        "seed": run.seed,
        "status": run.status,
        "run_id": run.metrics["run_id"],
        **{name: test.get(name) for name in _METRICS},
        "validation_auc": validation.get("auc"),
        **{name: run.metrics.get(name) for name in _WHOLE},
    }


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    found = list(rows)
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in found)
    return text.getvalue()


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
