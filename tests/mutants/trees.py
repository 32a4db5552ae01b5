"""Copies of the repository with a fault, and what the tests say of them.

TensorFlow is imported once, before anything of the repository; each mutant's tests run in a fork of that process, in
its own copy of the files, so that a test that starts another process starts it on the fault too.
"""

import compileall
import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.draw import Mutated

KILLED, SURVIVED, TIMEOUT, BROKEN = "killed", "survived", "timeout", "broken"
_PRELOADED = (
    "legacy_keras", "tensorflow", "tf_keras", "pandas", "scipy.stats", "sklearn.ensemble", "ibis", "duckdb",
    "pyarrow.parquet", "pydantic_settings", "yaml", "pytest",
)  # fmt: skip
_LATER = 100
"""Seconds by which a mutated file is newer, so that no compiled file counts as its own."""


@dataclass(frozen=True)
class Found:
    """What the tests said.

    Attributes:
        result: "killed", "survived", "timeout", which counts as killed, or "broken": no test ran.
        by: the first test that failed.
        seconds: how long it took.
    """

    result: str
    by: str
    seconds: float


def preload() -> None:
    """Import what is dear and not ours."""
    for name in _PRELOADED:
        importlib.import_module(name)


class Tree:
    """A copy of the repository's files.

    Args:
        root: the repository.
        place: an empty folder.
    """

    def __init__(self, root: Path, place: Path):
        self._place = place
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True, text=True
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, place / name)
        compileall.compile_dir(place, quiet=2)

    @contextlib.contextmanager
    def with_fault(self, mutated: Mutated | None) -> Iterator[None]:
        """The files with one of them changed."""
        if mutated is None:
            yield
            return
        path = self._place / mutated.mutant.file
        kept, times = path.read_bytes(), path.stat()
        try:
            path.write_text(mutated.source, "utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + _LATER * 10**9))
            yield
        finally:
            path.write_bytes(kept)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, tests: Sequence[tuple[str, str]], log: Path, longest: float, first: bool = True) -> Found:
        """Run tests in a fork.

        Args:
            tests: files in the repository, with a text that the names of their tests have to hold, or ""; or tests.
            log: takes what pytest prints.
            longest: seconds after which they count as failed.
            first: until the first fails.
        """
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setsid()
            _in_child(self._place, tests, log, first)
        code = _wait(child, begun + longest)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests have left
        seconds = time.monotonic() - begun
        if code is None:
            return Found(TIMEOUT, "", seconds)
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        failed = failures(text)
        result = SURVIVED if code == 0 else BROKEN if code in (4, 5) else KILLED
        return Found(result, failed[0] if failed else f"exit code {code}" if code else "", seconds)


def failures(text: str) -> list[str]:
    """The tests that failed, by what pytest printed."""
    lines = [line.partition(" ") for line in text.splitlines()]
    return [rest.split(" - ")[0] for word, _, rest in lines if word in ("FAILED", "ERROR")]


def _wait(child: int, until: float) -> int | None:
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.05)


class _Chosen:
    """A plugin of pytest that leaves out the tests whose name lacks the text that belongs to their file."""

    def __init__(self, place: Path, tests: Sequence[tuple[str, str]]):
        self._words = {str(place / file): word for file, word in tests}

    def pytest_collection_modifyitems(self, config, items):
        kept = [item for item in items if self._words.get(str(item.path), "") in item.name]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def _places(module: object) -> list[str]:
    """Where a module or package lies."""
    return [*(getattr(module, "__path__", None) or []), getattr(module, "__file__", None) or ""]


def _in_child(place: Path, tests: Sequence[tuple[str, str]], log: Path, first: bool) -> None:
    code = 70
    try:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(place)
        root = str(Path(__file__).parents[2])
        sys.path = [path for path in sys.path if path not in ("", root)]
        sys.dont_write_bytecode = True
        for name, module in list(sys.modules.items()):  # what was preloaded of ours: legacy_keras, and what it imports
            if any(path.startswith(root + os.sep) for path in _places(module)):
                del sys.modules[name]
        with tempfile.TemporaryDirectory() as scratch:
            os.environ |= {"HYPOTHESIS_STORAGE_DIRECTORY": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
            import pytest

            options = [
                *(["-x"] if first else []),
                "-q",
                "--tb=no",
                "-rfE",
                "-p",
                "no:cacheprovider",
                "-o",
                "addopts=",
                "--basetemp",
                scratch,
            ]
            options += ["-m", "not slow and not long", "--rootdir", str(place), "-c", str(place / "pyproject.toml")]
            code = int(pytest.main([*options, *(file for file, _ in tests)], plugins=[_Chosen(place, tests)]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
