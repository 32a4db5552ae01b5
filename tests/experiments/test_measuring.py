"""Which ranking model the others are compared with, and what is left out as of other data."""

import pytest
from run_folders import write_run

from experiments import measuring
from experiments.runs import read_all
from experiments.trained import OtherDataError


def _rankers(root, monkeypatch):
    """Names of the ranking runs that `measure` takes, and what it says."""
    taken, said = [], []
    monkeypatch.setattr(measuring, "_measure", lambda run, planner, ranking, report: taken.append(ranking))
    measuring.measure(read_all(root), planner=None, report=said.append)
    return {ranking and ranking.run.folder for ranking in taken}, said


def test_the_lowest_seed_with_default_options_comes_first(tmp_path, monkeypatch):
    write_run(tmp_path, "dssm", 0, 0.8)
    assert _rankers(tmp_path, monkeypatch) == (
        {None},
        ["movielens, strict: no finished run of dcn_v2, so no agreement with it"],
    )
    write_run(tmp_path, "dcn_v2", 0, 0.8, status="diverged")
    other = write_run(tmp_path, "dcn_v2", 0, 0.8, options={"epoch": "1"})
    assert _rankers(tmp_path, monkeypatch) == ({other}, [])
    write_run(tmp_path, "dcn_v2", 2, 0.8)
    default = write_run(tmp_path, "dcn_v2", 1, 0.8)
    assert _rankers(tmp_path, monkeypatch) == ({default}, [])


def test_runs_on_other_data_are_told_and_left_out(tmp_path, monkeypatch):
    write_run(tmp_path, "dcn_v2", 0, 0.8)
    write_run(tmp_path, "dcn_v2", 0, 0.8, data="other")
    write_run(tmp_path, "dcn_v2", 0, 0.8, dataset="movielens_generated", data="generated")
    measured, said = [], []

    def measure_one(run, *_):
        if run.metrics["data_fingerprint"] not in here:
            raise OtherDataError("--data_path: the run was on other data")
        measured.append(run.setting.fingerprint)

    monkeypatch.setattr(measuring, "_measure", measure_one)
    here = ["data-strict-0"]
    measuring.measure(read_all(tmp_path), planner=None, report=said.append)
    assert measured == here
    assert said == [
        "movielens, strict, data other-strict-0: left out, as of other data",
        "movielens_generated, strict, data generated-strict-0: left out, as of other data",
    ]
    here = []
    with pytest.raises(OtherDataError):
        measuring.measure(read_all(tmp_path), planner=None, report=said.append)
