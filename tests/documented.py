"""Runs the commands of a page of the docs as they stand there, and compares what they print with what the page shows.

What a page says of its commands, in comments that its readers do not see:

    <!-- not run: WHY -->               before a block `sh`: its commands take too long, or need what no test has
    <!-- output of: COMMAND -->         before a block `text`: what the command prints, in this order
    <!-- output of: COMMAND; varies: numbers -->    the same, but numbers and hashes vary

A line `...` of such an output stands for any lines, and `…` within a line for any text.

A block runs whole, in bash. Its programs are found in a folder of doubles. The double of `python` and `prerank` runs
what it is asked to, with this checkout and this Python, and keeps what that prints. That of what installs, fetches or
does not end does nothing. Each notes what it was asked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ("python", "prerank", "pip", "docker", "curl", "mkdocs", "pre-commit", "tensorboard")
_BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<said>[^\n]*?) -->\n\s*)?```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = r"[0-9a-f]{8,}|-?\d[\d,.]*"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: what stands behind the fence.
        text: its lines, without the indent of the fence.
        said: the comment before it, without its brackets.
        line: where it begins, from 1.
    """

    language: str
    text: str
    said: str
    line: int

    @property
    def not_run(self) -> str:
        """Why no test runs it; empty if one does."""
        return self.said.removeprefix("not run: ") if self.said.startswith("not run: ") else ""

    @property
    def output_of(self) -> str:
        """The command that prints it, or empty."""
        return self.said.removeprefix("output of: ").partition("; varies: ")[0] if "output of: " in self.said else ""


@dataclass(frozen=True)
class Ran:
    """What one command did: its words, its output with what it wrote to standard error before, and its exit code."""

    words: list[str]
    output: str
    code: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page's text, in order."""
    return [
        Block(
            found["language"],
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            found["said"] or "",
            page.count("\n", 0, found.start("language")) + 1,
        )
        for found in _BLOCK.finditer(page)
    ]


def why_not(words: list[str]) -> str:
    """Why a command of a block that is run does nothing; empty if it runs. `words` is how bash calls it."""
    if words[0] not in ("python", "prerank"):
        return "it installs or fetches, needs a server, or does not end"
    if words[:2] == ["prerank", "serve"]:
        return "it does not end; tests/test_production.py serves"
    if words[1:3] == ["-m", "pytest"]:
        return "it runs the tests"
    return ""


def run(page: str, folder: Path) -> list[Ran]:
    """Run the blocks of a page's text in order, in one folder.

    Raises:
        AssertionError: a command fails, or prints something else than the page shows.
    """
    doubles, notes = folder / ".doubles", folder / ".notes"
    notes.mkdir()
    doubles.mkdir()
    for name in PROGRAMS:
        (doubles / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{notes}" {name} "$@"\n')
        (doubles / name).chmod(0o755)
    for script in (*ROOT.glob("train_*.py"), ROOT / "benchmark.py", ROOT / "examples"):
        if not (folder / script.name).exists():
            (folder / script.name).symlink_to(script)
    environment = {**os.environ, "PATH": f"{doubles}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_USE_LEGACY_KERAS", None)  # set by this process; a reader's shell has none
    ran: list[Ran] = []
    for block in blocks(page):
        if block.language == "sh" and not block.not_run:
            ran += _run_block(block, folder, notes, environment, begins=len(ran))
        elif block.output_of:
            _compare(block, ran)
    return ran


def _run_block(block: Block, folder: Path, notes: Path, environment: dict[str, str], begins: int) -> list[Ran]:
    script = f"set -euo pipefail\n{_with_free_ports(block.text)}\nwait\n"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    ran = [Ran(**json.loads(path.read_text("utf-8"))) for path in sorted(notes.iterdir())][begins:]
    said = "\n".join(f"$ {shlex.join(one.words)}\n{one.output[-3000:]}" for one in ran)
    assert done.returncode == 0, f"line {block.line}: exit code {done.returncode}\n{said}\n{done.stderr[-2000:]}"
    failed = [shlex.join(one.words) for one in ran if one.code]  # one in the background ends bash with 0
    assert not failed, f"line {block.line}: {failed}\n{said}"
    assert ran, f"line {block.line}: it runs nothing"
    return ran


def _with_free_ports(text: str) -> str:
    """A block with free ports for those that it names."""
    named = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text)))
    with_ports = [socket.socket() for _ in named]
    for one in with_ports:
        one.bind(("127.0.0.1", 0))
    free = {name: str(one.getsockname()[1]) for name, one in zip(named, with_ports, strict=True)}
    for one in with_ports:
        one.close()
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: free[found[0]], text)


def _compare(block: Block, ran: list[Ran]) -> None:
    words = shlex.split(block.output_of)
    printed = [one.output for one in ran if one.words == words]
    assert printed, f"line {block.line}: no command {block.output_of!r} was run before it"
    masked = "; varies: numbers" in block.said
    if difference := unlike(block.text, printed[-1], masked):
        raise AssertionError(f"line {block.line}: not printed: {difference!r}\n{printed[-1]}")


def unlike(shown: str, printed: str, masked: bool = False) -> str:
    """The first line of `shown` that `printed` has not at that place, or empty. Runs of blanks count as one."""
    found, anywhere = iter(_lines(printed, masked)), False
    for line in _lines(shown, masked):
        if line == "...":
            anywhere = True
            continue
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        for other in found:
            if re.fullmatch(pattern, other):
                break
            if not anywhere:
                return line
        else:
            return line
        anywhere = False
    return "" if anywhere else next(found, "")


def _lines(text: str, masked: bool) -> list[str]:
    text = re.sub(_NUMBER, "N", text) if masked else text
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _double(notes: Path, words: list[str]) -> int:
    """Stand for a program: run it if it is to be run, pass on what it prints, and note it."""
    output, code = "", 0
    number = len(list(notes.iterdir()))
    if not why_not(words):
        # What a page fetches is there: the runner puts a sample in its place.
        asked = [word for word in words[1:] if word != "--download"]
        command = [sys.executable, *(["-m", "prerank"] if words[0] == "prerank" else []), *asked]
        done = subprocess.run(command, capture_output=True, text=True)
        output, code = done.stdout, done.returncode
        sys.stdout.write(done.stdout)
        if code:
            output += done.stderr
            sys.stderr.write(done.stderr)
    while True:
        try:
            with (notes / f"{number:04}").open("x", encoding="utf-8") as file:
                json.dump({"words": words, "output": output, "code": code}, file)
            return code
        except FileExistsError:  # one in the background
            number += 1


if __name__ == "__main__":
    sys.exit(_double(Path(sys.argv[1]), sys.argv[2:]))
