"""The figure of judged worlds, drawn from their csv file.

python -m benchmarks.worlds.figures docs/results/planted_worlds
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.worlds.design import BIASES, CANDIDATES, PLAIN
from experiments.report.figures import draw_several
from prerank.csv_rows import Row, read_rows
from prerank.errors import InputError
from prerank.terminal import Parser, run

NAME = "aim"
_LENGTH = "50"
_COLUMNS = ("world", "model", "way", "quota", "length", "best", "true_positives")
_STYLES = {PLAIN: "--o", CANDIDATES.name: "-o", "": ":"}
_COLOURS = {
    "dssm": "tab:blue", "hit": "tab:orange", "ranker": "black", "retrieval": "tab:green", "popularity": "tab:brown",
    "random": "tab:grey",
}  # fmt: skip


def draw(folder: Path) -> None:
    """Draw `aim.png` of a folder from its `aim.csv`: the recall of the final list against the quota.

    Recall is the list's true expected positives as a share of those of the best possible list, the mean over the seeds.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    rows = [row for row in read_rows(folder / f"{NAME}.csv", _COLUMNS) if row["length"] == _LENGTH]
    worlds = [world for world in BIASES if any(row["world"] == world for row in rows)]

    def content(panels: Sequence) -> None:
        for world, axes in zip(worlds, panels, strict=True):
            for (model, way), line in curves([row for row in rows if row["world"] == world]).items():
                label = f"{model}, {way}" if way else model
                axes.plot(list(line), list(line.values()), _STYLES[way], color=_COLOURS[model], label=label)
            axes.set(title=f"exposure bias: {world}", xlabel="quota", xticks=sorted(line), ylim=(0, 1))
        panels[0].set(ylabel=f"recall of the final list of {_LENGTH}")
        panels[-1].legend(fontsize=8)

    draw_several(folder / f"{NAME}.png", len(worlds), content)


def curves(rows: Sequence[Row]) -> dict[tuple[str, str], dict[int, float]]:
    """Recall by quota, ascending, of each pre-ranker and way of training: the mean over the seeds."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in sorted(rows, key=lambda row: int(row["quota"])):
        of_quota = found.setdefault((row["model"], row["way"]), {}).setdefault(int(row["quota"]), [])
        of_quota.append(float(row["true_positives"]) / float(row["best"]))
    return {name: {quota: float(np.mean(of)) for quota, of in line.items()} for name, line in found.items()}


def main() -> None:
    """Run the command.

    Raises:
        InputError: wrong flags, or a wrong file.
    """
    parser = Parser(prog="python -m benchmarks.worlds.figures", description="Draw the figure of judged worlds.")
    parser.add_argument("folder", type=Path, help=f"folder with {NAME}.csv")
    folder = parser.parse_args().folder
    if not (folder / f"{NAME}.csv").is_file():
        raise InputError(f"there is no {NAME}.csv", path=folder)
    draw(folder)


if __name__ == "__main__":
    sys.exit(run(main))
