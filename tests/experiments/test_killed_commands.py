"""Commands of the benchmark, killed at their calls that change files and started again."""

import json
import math
import os
import shutil
from types import SimpleNamespace

import kills
import numpy as np
import pytest
from run_folders import planned, write_run

from experiments import measuring, runner, statuses, tuning
from experiments.command_line import main
from experiments.plan import PlannedRun
from experiments.runner import Deadline, Watcher, execute
from experiments.runs import read_all
from experiments.statuses import Status
from experiments.tuned import tuned_file
from experiments.tuning import Tuner
from training.run_folder import RunFolder

_SOME_OR_ALL = pytest.mark.parametrize("points", [6, pytest.param(None, marks=pytest.mark.slow)])


@pytest.fixture
def root(tmp_path):
    """The folder whose changes count."""
    return tmp_path / "root"


def _empty(root):
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()


def _finish(run, status="finished"):
    run.folder.final.mkdir(parents=True)
    (run.folder.final / "metrics.json").write_text(json.dumps({"status": status}))


def _names(run):
    return sorted(os.listdir(run.folder.final.parent))


def test_the_record_of_a_failure_is_whole(root):
    run = planned(root)
    failed = statuses.failed_folder(run)

    def prepare():
        _empty(root)
        statuses.log_file(run).parent.mkdir(parents=True)
        statuses.log_file(run).write_text("$ python train.py\nout of memory\n")

    def again():
        if not statuses.settle(run).over:
            statuses.keep_failure(run, 1)

    for _ in kills.killed(lambda: statuses.keep_failure(run, 1), root, prepare):
        assert not failed.exists() or sorted(os.listdir(failed)) == ["config.yaml", "log.txt", "metrics.json"]
        kills.done(again, root)
        assert _names(run) == [failed.name]
        assert statuses.status(run) is Status.FAILED
        assert statuses.failure(run).startswith(f"failed: {run.title}: out of memory")


def test_a_finished_run_takes_its_log_and_forgets_its_failure(root):
    run = planned(root)

    def prepare():
        _empty(root)
        statuses.keep_failure(run, 1)
        _finish(run)
        statuses.log_file(run).write_text("log")

    for _ in kills.killed(lambda: statuses.settle(run), root, prepare):
        kills.done(lambda: statuses.settle(run), root)
        assert _names(run) == [run.folder.final.name]
        assert (run.folder.final / "log.txt").read_text() == "log"


def test_a_failure_that_is_to_be_tried_again_is_there_or_not(root):
    run = planned(root)

    def prepare():
        _empty(root)
        statuses.keep_failure(run, 1)

    def again():
        assert statuses.status(run) in (Status.FAILED, Status.TO_DO)
        statuses.retry(run, failed=True)

    seen = set()
    for _ in kills.killed(lambda: statuses.retry(run, failed=True), root, prepare):
        seen.add(statuses.failed_folder(run).exists())
        kills.done(again, root)
        assert not run.folder.final.parent.exists() or _names(run) == []
    assert seen == {True, False}


_SCRIPT = """
import sys
from pathlib import Path
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
if "fail" in flags:
    sys.exit(flags["fail"])
final = Path(flags["folder"])
working = final.with_name(final.name + ".partial")
working.mkdir(exist_ok=True)
(working / "metrics.json").write_text('{"status": "finished"}')
working.rename(final)
"""


@_SOME_OR_ALL
def test_a_series_of_runs(root, tmp_path, points, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(_SCRIPT)
    monkeypatch.setattr(runner, "_POLL", 0.02)
    runs = [planned(root, seed=0), planned(root, "--fail=no", seed=1)]

    def action():
        for run in runs:
            statuses.retry(run, failed=False)
        execute(script, runs, Watcher(), deadline=Deadline())

    for number in kills.killed(action, root, lambda: _empty(root), points):
        kills.done(action, root)
        assert [statuses.status(run) for run in runs] == [Status.FINISHED, Status.FAILED], number
        assert _names(runs[0]) == sorted([runs[0].folder.final.name, statuses.failed_folder(runs[1]).name]), number
        assert sorted(os.listdir(runs[0].folder.final)) == ["log.txt", "metrics.json"]


@pytest.fixture
def collected(root, tmp_path):
    """Makes the results of an earlier `collect`, one of a run that had failed; and the command for new ones."""
    runs = tmp_path / "runs"
    new = [write_run(runs, "hit", 0, 0.9, overlap=0.5), write_run(runs, "dssm", 0, 0.8)]

    def prepare():
        _empty(root)
        write_run(root / "runs", "hit", 0, 0.7)
        failed = write_run(root / "runs", "dssm", 0, 0, status="failed")
        assert failed.name == f"{new[1].name}.failed"

    return prepare, lambda: main(["collect", "--output_dir", str(runs), "--out", str(root)])


@pytest.mark.parametrize("points", [15, pytest.param(None, marks=pytest.mark.slow)])
def test_collect_keeps_whole_runs(root, collected, points):
    prepare, action = collected
    prepare()
    before = {run.folder.name: kills.snapshot(run.folder) for run in read_all(root / "runs")}
    action()
    after = {run.folder.name: kills.snapshot(run.folder) for run in read_all(root / "runs")}
    undisturbed = kills.snapshot(root)
    assert len(before) == len(after) == 2
    for _ in kills.killed(action, root, prepare, points):
        for run in read_all(root / "runs"):
            name = run.folder.name
            assert kills.snapshot(run.folder) in (before.get(name), after.get(name))
        kills.done(action, root)
        assert kills.snapshot(root) == undisturbed


def test_collect_keeps_measurements_of_the_same_results(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    command = ["collect", "--output_dir", str(runs), "--out", str(out)]
    folder = write_run(runs, "hit", 0, 0.9)
    main(command)
    (kept,) = out.rglob("bootstrap.csv")
    (folder / "bootstrap.csv").unlink()
    main(command)
    assert kept.exists()
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["test"]["auc"] = 0.8
    (folder / "metrics.json").write_text(json.dumps(metrics))
    main(command)
    assert not kept.exists()


@pytest.mark.parametrize("points", [3, pytest.param(None, marks=pytest.mark.slow)])
def test_report_writes_whole_files(root, points):
    def prepare():
        _empty(root)
        for model, auc in (("hit", 0.9), ("dssm", 0.8)):
            for protocol in ("strict", "reference"):
                write_run(root / "runs", model, 0, auc, protocol=protocol, measured=False)

    action = lambda: main(["report", "--out", str(root)])  # noqa: E731
    prepare()
    kills.done(action, root)
    undisturbed = kills.snapshot(root)
    assert {"README.md", "report.html", "figures/movielens-protocols.png"} <= undisturbed.keys()
    for _ in kills.killed(action, root, prepare, points):
        found = kills.snapshot(root)
        assert {name for name in found.keys() & undisturbed.keys() if found[name] != undisturbed[name]} == set()
        kills.done(action, root)
        assert kills.snapshot(root) == undisturbed


_MEASURED = ["users", "users_with_positives", "items"]
_MEASURED += [f"{name}@{k}" for name in ("overlap", "recall") for k in (10, 50, 100)]


def test_measure_writes_whole_files(root, monkeypatch):
    data = SimpleNamespace(spec=SimpleNamespace(label="label"))
    trained = SimpleNamespace(data=data, test_logits=lambda: np.zeros(3), model=lambda: None)
    monkeypatch.setattr(measuring, "TrainedRun", SimpleNamespace(open=lambda run, planner: trained))
    monkeypatch.setattr(measuring, "Requests", SimpleNamespace(of=lambda *args, **flags: None))
    rated = SimpleNamespace(rows=slice(None), labels=None, groups=None)
    monkeypatch.setattr(measuring, "Rated", SimpleNamespace(read=lambda *args: rated))
    monkeypatch.setattr(measuring.bootstrap, "replicates", lambda *args: np.ones((1000, 2)))
    monkeypatch.setattr(measuring, "top_items", lambda *args: None)
    monkeypatch.setattr(measuring.agreement, "compare", lambda *args: dict.fromkeys(_MEASURED, 0))

    def prepare():
        _empty(root)
        for model in ("dcn_v2", "hit"):
            write_run(root, model, 0, 0.9, measured=False)

    action = lambda: measuring.measure(read_all(root), None, report=lambda _: None)  # noqa: E731
    prepare()
    action()
    undisturbed = kills.snapshot(root)
    assert sum(name.endswith(("bootstrap.csv", "ranker_agreement.json")) for name in undisturbed) == 4
    for _ in kills.killed(action, root, prepare):
        for run in read_all(root):
            assert run.bootstrap is None or run.bootstrap.shape == (1000, 2)
        kills.done(action, root)
        assert kills.snapshot(root) == undisturbed


class _Planner:
    """Gives each choice of options a run of its own."""

    def __init__(self, root):
        self._root = root

    def run(self, model, protocol, seed, values):
        run = planned(self._root, model=model, seed=seed)
        name = "-".join(f"{key}={value}" for key, value in sorted(values.items())) or "default"
        return PlannedRun(
            run.config, tuple(values.items()), (), RunFolder(self._root / "runs" / name), run.dataset, "x"
        )


def _train(script, runs, watcher, deadline):
    """In the place of training: the best learning rate is 0.002, and some dropout diverges."""
    for run in runs:
        values, folder = dict(run.change), run.folder
        if folder.final.exists():
            continue
        status = "diverged" if float(values["dropout"]) > 0.5 else "finished"
        auc = 0.9 - math.log(float(values["lr"]) / 0.002) ** 2 / 10
        with folder.open(overwrite=False):
            folder.write_text("metrics.json", json.dumps({"status": status, "validation": {"auc": auc}}))
            folder.finish()


@pytest.mark.parametrize(
    "points", [6, pytest.param(30, marks=pytest.mark.slow), pytest.param(None, marks=pytest.mark.long)]
)
def test_tuning_tries_the_same(root, points, monkeypatch):
    monkeypatch.setattr(tuning, "execute", _train)

    def action():
        tuner = Tuner(_Planner(root), "dssm", "strict", 0, {}, root / "tuning")
        assert tuner.run(None, 9, Deadline())
        tuner.best().write(tuned_file(root, "movielens", "strict", "dssm"))

    def result():
        found = kills.snapshot(root)
        return {name: found[name] for name in found if not name.endswith(".journal")}, found.keys()

    _empty(root)
    kills.done(action, root)
    undisturbed = result()
    assert len([name for name in undisturbed[1] if name.startswith("runs/")]) == 9
    for number in kills.killed(action, root, lambda: _empty(root), points):
        kills.done(action, root)
        assert result() == undisturbed, number


def test_a_line_of_the_journal_that_was_cut_is_dropped(root, monkeypatch):
    monkeypatch.setattr(tuning, "execute", _train)
    _empty(root)
    make = lambda: Tuner(_Planner(root), "dssm", "strict", 0, {}, root / "tuning")  # noqa: E731
    assert make().run(None, 2, Deadline())
    (journal,) = (root / "tuning").iterdir()
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines()[-1][:20])
    assert make().run(None, 3, Deadline())
    tuner = make()
    assert tuner.best().trials == 3
    assert journal.read_bytes().endswith(b"\n")
