"""The report's numbers as csv files."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from experiments.defaults import CUTOFFS
from experiments.report.entries import Board, Entry
from experiments.report.tables import BASE, Latencies
from experiments.runs import Run, Setting, variant_title
from experiments.tuned import Tuned

_METRICS = ("auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece")
_WHOLE = ("epochs", "best_epoch", "parameters", "examples_per_second", "seconds")
_AGREEMENT = [f"{name}@{k}" for name in ("overlap", "recall") for k in CUTOFFS]


def leaderboard_csv(
    boards: Sequence[Board],
    latencies: Mapping[Setting, Latencies] | None = None,
    tuned: Mapping[Setting, Mapping[str, Tuned]] | None = None,
) -> str:
    """Every entry with the mean and standard deviation of its metrics, its comparison, and what else the tables show.

    An entry with default options is compared with the best baseline, another with the default options of its model.

    Args:
        boards: every setting.
        latencies: of the models, by setting.
        tuned: what tuning found, by setting and model.
    """
    rows = []
    for board in boards:
        known, found = (latencies or {}).get(board.setting, {}), (tuned or {}).get(board.setting, {})
        for entry in [*board.defaults, *board.variants]:
            rows.append(_entry_row(board, entry) | _beside(entry, known, found.get(entry.model)))
    return _csv(rows)


def _entry_row(board: Board, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dataset": board.setting.dataset,
        "data": board.setting.fingerprint,
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


def _beside(entry: Entry, latencies: Latencies, best: Tuned | None) -> dict[str, Any]:
    """What was measured on the entry's model, and how many trials found its options."""
    agreements = [run.agreement for run in entry.finished.values() if run.agreement]
    row: dict[str, Any] = {"latency_ms": None if entry.variant else latencies.get(entry.model)}
    for name in _AGREEMENT:
        values = [found[name] for found in agreements if found[name] is not None]
        row[f"agreement_{name}"] = fmean(values) if values else None
    setting = entry.setting
    is_best = best is not None and best.variant(setting.dataset, setting.protocol, entry.model) == entry.variant
    return row | {"tuning_trials": best.trials if best and is_best else None}


def runs_csv(runs: Sequence[Run]) -> str:
    """Every run with its test metrics."""
    return _csv(map(_run_row, runs))


def _run_row(run: Run) -> dict[str, Any]:
    test, validation = run.metrics.get("test") or {}, run.metrics.get("validation") or {}
    return {
        "dataset": run.setting.dataset,
        "data": run.setting.fingerprint,
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
