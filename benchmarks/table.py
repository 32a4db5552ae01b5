"""The results of runs as a Markdown table: mean and standard deviation over the seeds.

python -m benchmarks.table runs/movielens
"""

import collections
import json
import statistics
import sys
from pathlib import Path
from typing import Any

_COLUMNS = {
    "AUC": ("test", "auc"),
    "LogLoss": ("test", "logloss"),
    "GAUC": ("test", "gauc"),
    "AUC, seen users": ("test_seen_users", "auc"),
    "AUC, unseen users": ("test_unseen_users", "auc"),
}


def _cell(runs: list[dict[str, Any]], part: str, name: str) -> str:
    values = [run[part][name] for run in runs if run.get(part) and run[part][name] is not None]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.4f}" if len(set(values)) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def table(folder: Path) -> str:
    """Markdown rows of every finished run below `folder`, by protocol, split, leaks and model."""
    groups = collections.defaultdict(list)
    for file in sorted(folder.glob("**/metrics.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        setting = f"{run['protocol']}, {run['split']}" + (f", {run['state']}" if run["protocol"] == "strict" else "")
        groups[setting, run["model"]].append(run)
    lines = ["| protocol, split, state | model | seeds | " + " | ".join(_COLUMNS) + " |"]
    lines.append("| --- " * (len(_COLUMNS) + 3) + "|")
    for (setting, model), runs in sorted(groups.items()):
        finished = [run for run in runs if run["status"] == "finished"]
        seeds = str(len(finished)) + (f" ({len(runs) - len(finished)} diverged)" if len(finished) < len(runs) else "")
        cells = [_cell(finished, *column) for column in _COLUMNS.values()]
        lines.append(f"| {setting} | `{model}` | {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m benchmarks.table RUNS_FOLDER, a folder with runs below it")
    print(table(Path(sys.argv[1])))
