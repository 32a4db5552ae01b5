"""Records of runs, damaged: what `collect` and `report` make of them."""

import json

import pytest
import yaml
from damaged import EXAMPLES, damaged_bytes, damaged_json, mutated, survives
from hypothesis import strategies as st
from run_folders import write_run

from experiments.collect import collect
from experiments.report.csv_files import leaderboard_csv, runs_csv
from experiments.report.entries import boards
from experiments.runs import read_all
from experiments.tuned import Tuned, tuned_file

pytestmark = pytest.mark.parametrize("examples", EXAMPLES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with every file, below a folder of runs, beside another run."""
    root = tmp_path_factory.mktemp("runs")
    write_run(root, "dssm", 0, 0.8)
    return write_run(root, "hit", 0, 0.9, overlap=0.5)


def report(folder, out):
    """What `collect` and `report` make of a folder of runs, less figures."""
    runs = read_all(folder)
    collect(runs, out)
    found = boards(runs)
    leaderboard_csv(found)
    runs_csv(runs)


@pytest.mark.parametrize("name", ["metrics.json", "ranker_agreement.json"])
def test_json_of_a_run(name, run, tmp_path, examples):
    whole = (run / name).read_bytes()

    def read(damaged):
        (run / name).write_bytes(damaged)
        report(run.parents[3], tmp_path / "out")

    try:
        survives(damaged_json(json.loads(whole)), read, examples)
        inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
        assert inside <= {"out"}  # nothing beside the folder of the results
    finally:
        (run / name).write_bytes(whole)


@pytest.mark.parametrize("name", ["history.csv", "bootstrap.csv"])
def test_csv_of_a_run(name, run, tmp_path, examples):
    whole = (run / name).read_bytes()
    lines = [line.split(",") for line in whole.decode().splitlines()[:20]]
    texts = mutated(lines).map(lambda rows: "\n".join(_joined(row) for row in _listed(rows)).encode("utf-8", "replace"))

    def read(damaged):
        (run / name).write_bytes(damaged)
        report(run.parents[3], tmp_path / "out")

    try:
        survives(st.one_of(texts, damaged_bytes(whole)), read, examples)
    finally:
        (run / name).write_bytes(whole)


def _listed(rows):
    return rows if isinstance(rows, list) else [rows]


def _joined(row):
    return ",".join(map(str, row)) if isinstance(row, list) else str(row)


def test_configuration_of_a_run(run, tmp_path, examples):
    whole = (run / "config.yaml").read_bytes()

    def read(damaged):
        (run / "config.yaml").write_bytes(damaged)
        report(run.parents[3], tmp_path / "out")

    try:
        survives(damaged_json(yaml.safe_load(whole)), read, examples)
    finally:
        (run / "config.yaml").write_bytes(whole)


def test_tuned_options(tmp_path, examples):
    place = tuned_file(tmp_path, "movielens", "strict", "dssm")
    Tuned(0.9, None, 3, 0, {"lr": "0.001", "dropout": "1e-1"}).write(place)
    assert Tuned.read(tmp_path, "movielens", "strict", "dssm").options == {"lr": "0.001", "dropout": "1e-1"}

    def read(damaged):
        place.write_bytes(damaged)
        Tuned.read(tmp_path, "movielens", "strict", "dssm").variant("movielens", "strict", "dssm")

    survives(damaged_json(yaml.safe_load(place.read_bytes())), read, examples)
