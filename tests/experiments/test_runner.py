"""Runs as processes, with a script in the place of training that needs no TensorFlow."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from run_folders import planned

from experiments import launcher, runner, statuses
from experiments.runner import Deadline, Watcher, execute
from experiments.statuses import Status
from training.records import read_outcome

_SCRIPT = """
import json, os, pathlib, sys, time
print("pid", os.getpid(), "threads", os.environ.get("TF_NUM_INTRAOP_THREADS"), flush=True)
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
final = pathlib.Path(flags["folder"])
working = final.with_name(final.name + ".partial")
working.mkdir(parents=True, exist_ok=True)
for epoch in range(len(list(working.glob("epoch*"))), int(flags.get("epochs", 1))):
    print("epoch", epoch, flush=True)
    time.sleep(float(flags.get("seconds", 0)))
    (working / f"epoch{epoch}").touch()
if "fail" in flags:
    print("before the end")
    raise SystemExit(f"{sys.prefix}/lib/site-packages/some/file.py: " + flags["fail"])
test = {} if flags.get("status") == "diverged" else {"test": {"auc": 0.8}}
metrics = {"status": flags.get("status", "finished"), "seconds": 1.0, **test}
(working / "metrics.json").write_text(json.dumps(metrics))
working.rename(final)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(_SCRIPT)
    return path


class Lines(Watcher):
    def __init__(self):
        self.lines, self.outcomes = [], []

    def say(self, text):
        self.lines.append(text)

    def ended(self, run, outcome, seconds):
        super().ended(run, outcome, seconds)
        self.outcomes.append((run.config.run.random_seed, outcome))


def test_does_what_is_not_done_and_keeps_what_became_of_it(tmp_path, script):
    runs = [
        planned(tmp_path, seed=0),
        planned(tmp_path, "--status=diverged", seed=1),
        planned(tmp_path, "--fail=out of memory", seed=2),
    ]
    watcher = Lines()
    execute(script, runs, watcher, deadline=Deadline(), jobs=2)
    assert sorted(watcher.outcomes) == [(0, Status.FINISHED), (1, Status.DIVERGED), (2, Status.FAILED)]
    assert [statuses.status(run) for run in runs] == [Status.FINISHED, Status.DIVERGED, Status.FAILED]
    assert (runs[0].folder.final / "log.txt").read_text().startswith("$ python train.py --folder=")
    failed = Path(f"{runs[2].folder.final}.failed")
    assert "before the end" in (failed / "log.txt").read_text()
    assert (failed / "config.yaml").exists()
    assert watcher.lines == [f"failed: {runs[2].title}: some/file.py: out of memory (see {failed})"]
    again = Lines()
    execute(script, runs, again, deadline=Deadline())
    assert again.outcomes == []


@pytest.mark.parametrize(
    ("jobs", "given", "threads"), [(1, None, "None"), (2, None, "4"), (3, None, "2"), (9, None, "1"), (2, "5", "5")]
)
def test_runs_at_once_share_out_the_cores(tmp_path, script, monkeypatch, jobs, given, threads):
    monkeypatch.setattr(runner, "cores", lambda: 8)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if given:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
    run = planned(tmp_path)
    execute(script, [run], Lines(), deadline=Deadline(), jobs=jobs)
    assert f"threads {threads}\n" in (run.folder.final / "log.txt").read_text()


def test_a_failed_run_is_recorded_without_folders_of_this_machine(tmp_path, script):
    run = planned(tmp_path, "--fail=no")
    execute(script, [run], Lines(), deadline=Deadline())
    record = read_outcome(statuses.failed_folder(run))
    assert record["status"] == "failed"
    assert record["reason"] == "exit code 1"
    assert record["last_lines"][-1] == "some/file.py: no"
    assert {record[name] for name in ("dataset", "model", "protocol")} == {"movielens", "dssm", "strict"}
    statuses.retry(run, failed=False)
    assert statuses.status(run) is Status.FAILED
    statuses.retry(run, failed=True)
    assert statuses.status(run) is Status.BEGUN
    mended = planned(tmp_path)
    execute(script, [mended], Lines(), deadline=Deadline())
    assert statuses.status(run) is Status.FINISHED


def test_a_killed_run_is_done_again_the_next_time(tmp_path, script):
    run = planned(tmp_path, "--epochs=400", "--seconds=0.1")
    thread = threading.Thread(target=lambda: os.kill(_pid_once_training(run), signal.SIGKILL))
    thread.start()
    execute(script, [run], Lines(), deadline=Deadline())
    thread.join()
    assert read_outcome(statuses.failed_folder(run))["reason"] == "ended by signal 9"
    statuses.retry(run, failed=False)
    assert statuses.status(run) is Status.BEGUN


def _pid_once_training(run):
    log = statuses.log_file(run)
    while not log.exists() or "epoch 1" not in log.read_text():
        time.sleep(0.02)
    return int(log.read_text().split("pid ")[1].split()[0])


def test_stops_when_the_time_is_up_and_goes_on(tmp_path, script):
    run = planned(tmp_path, "--epochs=8", "--seconds=0.25")
    watcher = Lines()
    execute(script, [run], watcher, deadline=Deadline(1.2 / 3600))
    assert statuses.status(run) is Status.BEGUN
    assert watcher.lines == ["0.000333333 hours are up: the same command resumes"]
    done = len(list(run.folder.working.glob("epoch*")))
    execute(script, [run], watcher, deadline=Deadline())
    assert statuses.status(run) is Status.FINISHED
    log = (run.folder.final / "log.txt").read_text()
    assert log.count("$ python") == 2
    assert log.split("$ python")[2].count("epoch ") == 8 - done < 8


def test_waits_for_a_run_that_another_process_is_at(tmp_path, script):
    run = planned(tmp_path)
    with run.folder.open(overwrite=False):
        (run.folder.working / "epoch0").touch()
        assert statuses.status(run) is Status.BUSY
        watcher = Lines()
        execute(script, [run], watcher, deadline=Deadline(1 / 3600))
        assert watcher.outcomes == []
    execute(script, [run], watcher, deadline=Deadline())
    assert watcher.outcomes == [(0, Status.FINISHED)]


def test_terminated_it_ends_its_children(tmp_path, script):
    run = planned(tmp_path, "--epochs=400", "--seconds=0.1")
    pids = []

    def terminate():
        pids.append(_pid_once_training(run))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        execute(script, [run], Lines(), deadline=Deadline())
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert statuses.status(run) is Status.BEGUN


_BENCHMARK = """
import sys
from pathlib import Path
from run_folders import planned
from experiments.runner import Deadline, Watcher, execute
root, script = map(Path, sys.argv[1:])
execute(script, [planned(root, "--epochs=8", "--seconds=0.5")], Watcher(), deadline=Deadline())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start waits for the child")
def test_killed_it_takes_its_children_along_and_the_next_start_goes_on(tmp_path, script):
    """A SIGKILL of the benchmark, which no handler sees."""
    run = planned(tmp_path, "--epochs=8", "--seconds=0.5")
    command = [sys.executable, "-c", _BENCHMARK, str(tmp_path), str(script)]
    path = os.pathsep.join([str(statuses.ROOT), str(Path(__file__).parent)])
    benchmark = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    training = _pid_once_training(run)
    benchmark.kill()
    benchmark.wait()
    _wait_for_the_end_of(training)
    done = len(list(run.folder.working.glob("epoch*")))
    assert 1 <= done < 8
    assert statuses.status(run) is Status.BEGUN
    watcher = Lines()
    execute(script, [run], watcher, deadline=Deadline())
    assert watcher.outcomes == [(0, Status.FINISHED)]
    assert sorted(path.name for path in run.folder.final.glob("epoch*")) == [f"epoch{n}" for n in range(8)]
    assert sorted(os.listdir(run.folder.final.parent)) == [run.folder.final.name]


def _wait_for_the_end_of(pid):
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError, FileNotFoundError):
        while "(zombie)" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline, "it goes on"
            time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start waits for the child")
def test_a_child_whose_parent_ended_before_it_began_does_nothing(tmp_path):
    file = tmp_path / "file"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, launcher.__file__, str(gone.pid), sys.executable, "-c", f"open({str(file)!r}, 'w')"]
    assert subprocess.run(command, capture_output=True).returncode == 1
    assert not file.exists()


def test_last_lines_name_no_folder_of_this_machine(tmp_path):
    line = f'File "{sys.prefix}/lib/python3.11/site-packages/keras/engine.py" and {statuses.ROOT}/training/app.py'
    (tmp_path / "log").write_text(f"first\n\n{line}\n")
    assert statuses.last_lines(tmp_path / "log", 1) == ['File "keras/engine.py" and training/app.py']
