"""The report in the repository is the one that its runs give."""

import re
import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from experiments.command_line import main
from experiments.report.build import build
from experiments.report.entries import boards
from experiments.report.facts import PAGES, Facts
from experiments.report.insert import insert
from experiments.report.publish import marked
from experiments.report.shown import RECORD, read_record, record
from experiments.runs import read_all

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def found():
    if not (RESULTS / "runs").is_dir():
        pytest.skip("no runs in docs/results/runs")
    return boards(read_all(RESULTS / "runs"))


def test_results_are_rebuilt_from_the_runs(found, tmp_path):
    for name in ("serving_latency.csv", "tuned", RECORD):
        if (RESULTS / name).is_dir():
            shutil.copytree(RESULTS / name, tmp_path / name)
        elif (RESULTS / name).exists():
            shutil.copy(RESULTS / name, tmp_path)
    build(found, tmp_path)
    for name in ("README.md", "leaderboard.csv", "runs.csv"):
        assert (tmp_path / name).read_text() == (RESULTS / name).read_text(), name
    pages = [(folder / "report.html").read_text() for folder in (tmp_path, RESULTS)]
    without_figures = [re.sub(r"base64,[^\"]*", "", page) for page in pages]
    assert without_figures[0] == without_figures[1]
    drawn = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert drawn == sorted(path.name for path in (RESULTS / "figures").iterdir())
    for name in drawn:
        here, there = (matplotlib.image.imread(folder / "figures" / name) for folder in (tmp_path, RESULTS))
        assert here.shape == there.shape, name
        assert np.abs(here - there).mean() < 0.01, name


def test_pages_are_filled_from_the_runs(found):
    facts = Facts(found, read_record(RESULTS))
    for page, template in PAGES.items():
        assert (ROOT / page).read_text() == facts.fill(template), page
    for page, places in marked(facts).items():
        text = (ROOT / page).read_text()
        for name, content in places.items():
            assert insert(text, name, content) == text, (page, name)
    assert (RESULTS / RECORD).read_text() == record(facts.shown)


def test_publishing_the_committed_runs_changes_nothing(found, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copyfile(ROOT / "README.md", tmp_path / "README.md")
    monkeypatch.chdir(tmp_path)
    main(["report", "--publish"])
    for path in [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*") if path.is_file())]:
        if path.suffix not in (".png", ".html"):  # which hold figures, as this machine's fonts draw them
            assert (tmp_path / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path
    before = {path for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert {ROOT / path.relative_to(tmp_path) for path in (tmp_path / "docs").rglob("*") if path.is_file()} == before


def test_no_run_names_a_place_of_a_machine(found):
    for path in (RESULTS / "runs").rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "data_path" not in text, path
            assert not re.search(r"(^|[\s\"'])/(home|root|tmp|work|Users)/", text), path
