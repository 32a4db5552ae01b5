"""README's commands as a new user runs them, on the sample: what they print is what README shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def _plain(text):
    """A text with its numbers and the hashes of runs and data masked, as these vary, and its spaces joined."""
    masked = re.sub(r"[0-9a-f]{8,}|-?\d[\d,.]*", "N", text)
    return [" ".join(line.split()) for line in masked.splitlines() if line.strip()]


def _block(language, word):
    return next(block for block in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in block)


def _run(words, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _script(line):
    words = shlex.split(line, comments=True)
    return [sys.executable, str(ROOT / words[1]), *words[2:]]


@pytest.mark.slow
def test_the_first_command_then_export_index_and_serve(tmp_path):
    first = _block("sh", "requirements.txt").splitlines()[0].partition(" && ")[2]
    shown = _plain(_block("text", "hit on"))
    printed = iter(_plain(_run(_script(first), tmp_path)))
    for line in shown:
        if line != "...":
            assert line in printed, line  # in this order, with other lines between
    train, install, index, top = _block("sh", "prerank top").splitlines()
    assert "nothing is trained" in _run(_script(train), tmp_path)
    assert install.startswith("pip install")
    for command in (index, top):
        out = _run([sys.executable, "-m", *shlex.split(command)], tmp_path)
    assert len(re.findall(r"^\d+\t-?\d+\.\d+$", out, re.MULTILINE)) == 3
    code = _block("python", "PreRanker") + "\nprint(len(best.ids), len(best.scores))"
    assert _run([sys.executable, "-c", code], tmp_path).split() == ["100", "100"]
