"""README's own commands leave every committed file as it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import train_movielens_whole_models as script
from experiments import command_line
from training import app

ROOT = Path(__file__).parents[2]
_COMMANDS = [
    "train_movielens_whole_models.py --model_name hit",
    "benchmark.py run --dataset movielens --models target_means,lr --protocols strict --seeds 0 epoch=1",
    "benchmark.py collect",
    "benchmark.py report",
]


@pytest.fixture
def tracked(tmp_path):
    """A copy of the tracked files, known to a git repository of its own."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not in a git repository")
    here = tmp_path / "repository"
    for name in _git(ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, here / name)
    _git(here, "init", "--quiet")
    _git(here, "add", "--all")
    return here


def _git(folder, *command):
    found = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True)
    return found.stdout


def _run(here, command):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *command.split()], cwd=here, env=environment, capture_output=True, text=True, check=False
    )


def _contents(here):
    names = _git(here, "ls-files", "-z").split("\0")
    return {name: (here / name).read_bytes() for name in names if name}


def _check_only_ignored_folders_are_new(here, before, models):
    assert _contents(here) == before
    assert _git(here, "ls-files", "--others", "--exclude-standard") == ""
    assert {path.name for path in here.iterdir()} >= {"data", "runs", "results"}
    report = (here / "results" / "README.md").read_text()
    assert "`movielens_generated`" in report
    assert all(f"| `{model}` |" in report for model in models)


def test_a_sample_collect_and_report_leave_every_tracked_file_as_it_is(tracked, monkeypatch):
    monkeypatch.chdir(tracked)
    monkeypatch.setattr("preprocess.generate.movielens.SAMPLE_ROWS", 12_000)
    before = _contents(tracked)
    for model in ("target_means", "lr"):
        assert app.main(script.SOURCE, ["--model_name", model, "--epoch", "1"]) == 0
    command_line.main(["collect"])
    command_line.main(["report"])
    _check_only_ignored_folders_are_new(tracked, before, ["lr", "target_means"])


@pytest.mark.slow
def test_the_quick_start_and_a_benchmark_leave_every_tracked_file_as_it_is(tracked):
    before = _contents(tracked)
    assert "README.md" in before
    assert "docs/results/leaderboard.csv" in before
    for command in _COMMANDS:
        done = _run(tracked, command)
        assert done.returncode == 0, done.stderr
    _check_only_ignored_folders_are_new(tracked, before, ["hit", "lr", "target_means"])
    done = _run(tracked, "benchmark.py report --publish")  # nor do generated data change what is published
    assert done.returncode == 0, done.stderr
    assert _contents(tracked) == before
