"""Records of runs, damaged: what `collect` and `report` make of them."""

import csv
import json

import pytest
import yaml
from damaged import EXAMPLES, damaged_bytes, damaged_json, mutated, survives
from hypothesis import strategies as st
from run_folders import write_run

from experiments.collect import collect
from experiments.report.build import build
from experiments.report.csv_files import leaderboard_csv, runs_csv
from experiments.report.entries import boards
from experiments.runs import read_all
from experiments.tuned import Tuned, tuned_file
from prerank.errors import InputError


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


@pytest.mark.parametrize("examples", EXAMPLES)
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


@pytest.mark.parametrize("examples", EXAMPLES)
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


@pytest.mark.parametrize("examples", EXAMPLES)
def test_configuration_of_a_run(run, tmp_path, examples):
    whole = (run / "config.yaml").read_bytes()

    def read(damaged):
        (run / "config.yaml").write_bytes(damaged)
        report(run.parents[3], tmp_path / "out")

    try:
        survives(damaged_json(yaml.safe_load(whole)), read, examples)
    finally:
        (run / "config.yaml").write_bytes(whole)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_tuned_options(tmp_path, examples):
    place = tuned_file(tmp_path, "movielens", "strict", "dssm")
    Tuned(0.9, None, 3, 0, {"lr": "0.001", "dropout": "1e-1"}).write(place)
    assert Tuned.read(tmp_path, "movielens", "strict", "dssm").options == {"lr": "0.001", "dropout": "1e-1"}

    def read(damaged):
        place.write_bytes(damaged)
        Tuned.read(tmp_path, "movielens", "strict", "dssm").variant("movielens", "strict", "dssm")

    survives(damaged_json(yaml.safe_load(place.read_bytes())), read, examples)


def _edit(folder, **changes):
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, **changes}))


@pytest.mark.parametrize("name", ["dataset", "protocol", "model", "run_id", "split", "data_fingerprint"])
@pytest.mark.parametrize("value", ["../../../x", "/tmp/x", "..", "", "a/b", "a\0b", "x" * 300])
def test_a_record_cannot_lead_out_of_the_results(name, value, tmp_path):
    run = write_run(tmp_path / "in" / "runs", "dssm", 0, 0.8)
    precious = tmp_path / "x" / "strict" / "dssm" / f"{run.name}.failed" / "file"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    _edit(run, **{name: value})
    with pytest.raises(InputError, match=f"metrics.json: damaged: {name}: expected a name"):
        collect(read_all(tmp_path / "in" / "runs"), tmp_path / "in" / "results" / "runs")
    assert precious.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "x"]
    assert not (tmp_path / "in" / "results").exists()


def test_a_record_is_of_the_folder_that_it_lies_in(tmp_path):
    _edit(write_run(tmp_path, "dssm", 0, 0.8), dataset="amazon_books")
    with pytest.raises(InputError, match="of movielens/strict/dssm, its record of amazon_books/strict/dssm"):
        read_all(tmp_path)


def test_a_damaged_measurement_is_not_collected(tmp_path):
    run = write_run(tmp_path / "runs", "dssm", 0, 0.8)
    for name, text in (("bootstrap.csv", "auc,gauc\n0.5,0.5\n"), ("history.csv", "epoch,loss\n1\n")):
        whole = (run / name).read_text()
        (run / name).write_text(text)
        with pytest.raises(InputError, match=name):
            collect(read_all(tmp_path / "runs"), tmp_path / "out")
        (run / name).write_text(whole)
    assert not (tmp_path / "out").exists()


def test_a_metric_that_does_not_exist_is_reported_by_a_dash(tmp_path):
    for model in ("dssm", "hit"):
        for seed in (0, 1):
            run = write_run(tmp_path / "runs", model, seed, 0.8 + seed / 100)
            if model == "hit" and seed:
                test = json.loads((run / "metrics.json").read_text())["test"]
                _edit(run, test={**test, "auc": None, "gauc": None}, examples_per_second=None)
    build(boards(read_all(tmp_path / "runs")), tmp_path / "out")
    rows = csv.DictReader((tmp_path / "out" / "runs.csv").read_text().splitlines())
    assert [row["auc"] for row in rows if row["model"] == "hit"] == ["0.8", ""]
    assert boards(read_all(tmp_path / "runs"))[0].entry("hit").seeds == "2"
