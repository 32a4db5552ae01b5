"""The results of runs as a Markdown table: mean and standard deviation over the seeds, the published numbers beside.

python -m benchmarks.table runs/movielens
"""

import collections
import csv
import json
import statistics
import sys
from pathlib import Path
from typing import Any

_PUBLISHED = Path(__file__).with_name("published.csv")
_COLUMNS = {
    "AUC": ("test", "auc"),
    "LogLoss": ("test", "logloss"),
    "GAUC": ("test", "gauc"),
    "AUC, seen users": ("test_seen_users", "auc"),
    "AUC, unseen users": ("test_unseen_users", "auc"),
}

Run = dict[str, Any]


def _cell(runs: list[Run], part: str, name: str) -> str:
    values = [run[part][name] for run in runs if run.get(part) and run[part][name] is not None]
    if not values or (part == "test_seen_users" and runs[0]["test"]["rows"] == runs[0][part]["rows"]):
        return "–"
    spread = f" ± {statistics.stdev(values):.4f}" if len(set(values)) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def published(dataset: str, model: str) -> str:
    """The published AUC / LogLoss of a model and their papers, or a dash."""
    with _PUBLISHED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["dataset"], row["model"]) == (dataset, model)]
    return ", ".join(f"{row['auc']} / {row['logloss']} ({row['paper']})" for row in rows) or "–"


def _setting(run: Run) -> str:
    if run["protocol"] == "reference":
        return "`reference`"
    return f"`strict`, {run['split']}, {run['state']}"


def table(folder: Path) -> str:
    """Markdown rows of every run below `folder`, by protocol, split and state, and by model."""
    groups: dict[tuple[str, str], list[Run]] = collections.defaultdict(list)
    for file in sorted(folder.glob("**/metrics.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        groups[_setting(run), run["model"]].append(run)
    header = ["protocol, split, state", "model", "seeds", *_COLUMNS, "published AUC / LogLoss"]
    lines = ["| " + " | ".join(header) + " |", "| --- " * len(header) + "|"]
    for (setting, model), runs in sorted(groups.items()):
        finished = [run for run in runs if run["status"] == "finished"]
        seeds = str(len(finished)) + (f" ({len(runs) - len(finished)} diverged)" if len(finished) < len(runs) else "")
        cells = [_cell(finished, *column) for column in _COLUMNS.values()]
        beside = published(runs[0]["dataset"], model) if runs[0]["protocol"] == "reference" else "–"
        lines.append("| " + " | ".join([setting, f"`{model}`", seeds, *cells, beside]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m benchmarks.table FOLDER, a folder with runs below it")
    print(table(Path(sys.argv[1])))
