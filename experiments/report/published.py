"""Published results, from the csv files beside this one."""

import functools
from dataclasses import dataclass
from pathlib import Path

from prerank.csv_rows import read_rows
from prerank.numbers import integer, number

PROPOSED = {"HIT": "hit", "FIT": "fit"}
"""The model that each paper proposes."""
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Published:
    """A row of a paper's table.

    Attributes:
        paper, dataset, model: what it is of.
        auc, logloss: the result.
    """

    paper: str
    dataset: str
    model: str
    auc: float
    logloss: float

    @property
    def text(self) -> str:
        """The result and its paper, as tables show it."""
        return f"{self.auc:.4f} / {self.logloss:.4f} ({self.paper})"


@functools.cache
def results() -> tuple[Published, ...]:
    """Every published result."""
    return tuple(
        Published(row["paper"], row["dataset"], row["model"], number(row["auc"]), number(row["logloss"]))
        for row in _rows("published.csv")
    )


def of(dataset: str, model: str) -> list[Published]:
    """The published results of a model on a data set."""
    return [found for found in results() if (found.dataset, found.model) == (dataset, model)]


def heads(dataset: str, model: str) -> dict[int, float]:
    """The published AUC by the number of heads."""
    return {
        integer(row["heads"]): number(row["auc"])
        for row in _rows("published_heads.csv")
        if (row["dataset"], row["model"]) == (dataset, model)
    }


@functools.cache
def _rows(name: str) -> tuple[dict[str, str], ...]:
    return tuple(read_rows(_FOLDER / name))
