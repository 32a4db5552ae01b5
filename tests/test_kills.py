"""Commands that are killed end, started again, with the result of the undisturbed one. See `killed_commands.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Calls of each command that are tried in the slow set. Those of `train` and `export` take seconds each.
_POINTS = {
    "prepare": "16", "train": "8", "overwrite": "16", "export": "8", "build": "all", "update": "all", "day": "10",
}  # fmt: skip
_QUICK = ("prepare", "overwrite")  # parts of the others are killed at every call by the tests of their modules


def _check(folder: Path, points: str, *commands: str) -> None:
    script = Path(__file__).with_name("killed_commands.py")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder), points, *commands],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert done.stdout.count("the same") >= len(commands)


def test_killed_in_the_middle_a_command_ends_as_undisturbed(tmp_path):
    _check(tmp_path, "1", *_QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "points"), _POINTS.items())
def test_killed_at_calls_from_first_to_last_a_command_ends_as_undisturbed(command, points, tmp_path):
    _check(tmp_path, points, command)


@pytest.mark.long
@pytest.mark.parametrize("command", [command for command, points in _POINTS.items() if points != "all"])
def test_killed_at_any_call_a_command_ends_as_undisturbed(command, tmp_path):
    _check(tmp_path, "all", command)
