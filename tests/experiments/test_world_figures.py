"""The figure of planted worlds: its curves by hand, and the committed one."""

import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from benchmarks.worlds import figures

COMMITTED = Path(__file__).parents[2] / "docs" / "results" / "planted_worlds"


def _row(model, way, quota, best, found):
    return {"model": model, "way": way, "quota": str(quota), "best": str(best), "true_positives": str(found)}


def test_recall_is_the_mean_over_the_seeds_by_ascending_quota():
    rows = [
        _row("dssm", "rated rows", 100, 8, 6),
        _row("dssm", "rated rows", 50, 8, 4),
        _row("dssm", "rated rows", 50, 10, 3),
        _row("random", "", 50, 10, 1),
    ]
    found = figures.curves(rows)
    assert list(found) == [("dssm", "rated rows"), ("random", "")]
    assert found["dssm", "rated rows"] == pytest.approx({50: (4 / 8 + 3 / 10) / 2, 100: 6 / 8})
    assert list(found["dssm", "rated rows"]) == [50, 100]
    assert found["random", ""] == pytest.approx({50: 0.1})


def test_the_committed_figure_is_of_the_committed_numbers(tmp_path):
    shutil.copy(COMMITTED / "aim.csv", tmp_path)
    figures.draw(tmp_path)
    drawn, kept = (matplotlib.image.imread(folder / "aim.png") for folder in (tmp_path, COMMITTED))
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 0.01  # fonts differ from machine to machine
