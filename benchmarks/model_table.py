"""Every model of the registry with its results as a Markdown table: one seed, both protocols.

python -m benchmarks.model_table runs/movielens
"""

import json
import sys
from pathlib import Path
from typing import Any

import models
from benchmarks.table import published

_SEED = 0
_SPLITS = {"strict": "time", "reference": "random"}
_HEADER = ["model", "source", "kind", "decoupled", "parameters", "`strict`", "`reference`", "published"]

Run = dict[str, Any]


def _runs(folder: Path) -> dict[tuple[str, str], Run]:
    """By protocol and model, the run of the seed and of the protocol's default split."""
    found: dict[tuple[str, str], Run] = {}
    for file in sorted(folder.glob("*/*/*/metrics.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        key = run["protocol"], run["model"]
        if run["seed"] != _SEED or run["split"] != _SPLITS[run["protocol"]] or file.parent.suffix:
            continue
        if key in found:
            raise ValueError(f"several runs of {key} with seed {_SEED}: {found[key]['run_id']} and {run['run_id']}")
        found[key] = run
    return found


def _result(run: Run | None) -> str:
    if run is None:
        return "–"
    if run["status"] != "finished":
        return run["status"]
    return f"{run['test']['auc']:.4f} / {run['test']['logloss']:.4f}"


def _order(name: str, runs: dict[tuple[str, str], Run]) -> tuple[int, float]:
    """Decoupled models first, then by AUC under `strict`."""
    run = runs.get(("strict", name))
    return not models.get(name).decoupled, -(run["test"]["auc"] if run and run["status"] == "finished" else 0)


def table(folder: Path) -> str:
    """Markdown rows of all models with their runs below `folder`; each result is AUC / LogLoss on the test part."""
    runs = _runs(folder)
    lines = ["| " + " | ".join(_HEADER) + " |", "| --- " * len(_HEADER) + "|"]
    for name in sorted(models.names(), key=lambda name: _order(name, runs)):
        entry = models.get(name)
        strict, reference = runs.get(("strict", name)), runs.get(("reference", name))
        known = strict or reference
        cells = [f"`{name}`", entry.source, entry.kind, "yes" if entry.decoupled else "no"]
        cells.append(f"{known['parameters']:,}" if known else "–")
        cells += [_result(strict), _result(reference), published(folder.name, name)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m benchmarks.model_table FOLDER, the runs of a data set, such as runs/movielens")
    print(table(Path(sys.argv[1])))
