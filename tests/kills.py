"""Runs an action in a forked process that kills itself, by SIGKILL, before its n-th call that changes files.

Python reports each of these calls to an audit hook, but for `fsync`, which is replaced. What libraries write in C or
C++ is not reported, so that these files are whole or absent here.
"""

import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Action = Callable[[], object]


class _Counter:
    """Counts the calls below a folder, and kills the process before one of them."""

    def __init__(self, root: Path, fatal: int):
        self.count = 0
        self._roots = (f"{root}/", f"{root.resolve()}/")
        self._fatal = fatal

    def install(self) -> None:
        # The kernel keeps what a killed process wrote. Nothing need reach the disk, which takes most of the time.
        os.fsync = lambda handle: self._step(os.readlink(f"/proc/self/fd/{handle}"))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple) -> None:
        if event in _CHANGES:
            self._step(args[0], args[-1])
        elif event == "open" and isinstance(args[0], str | os.PathLike) and (args[2] or 0) & _WRITES:
            self._step(args[0])

    def _step(self, path: object, folder: object = -1) -> None:
        # A call by a folder's handle is one of `shutil.rmtree`, which names no whole path.
        by_handle = isinstance(folder, int) and folder >= 0
        if not by_handle and not os.path.abspath(os.fspath(path)).startswith(self._roots):
            return
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def _forked(action: Action, root: Path, fatal: int) -> tuple[int, int]:
    """Exit code of a process that did the action, and how many calls it made; none if it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            counter = _Counter(root, fatal)
            counter.install()
            action()
            os.write(writing, str(counter.count).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(text or 0)


def done(action: Action, root: Path) -> int:
    """Do an action in a process of its own, undisturbed. Returns how many calls it made."""
    code, count = _forked(action, root, 0)
    assert code == 0
    return count


def killed_at(number: int, action: Action, root: Path, certain: bool = True) -> None:
    """Do an action in a process that is killed before its call of this number; if not `certain`, should it come."""
    code, _ = _forked(action, root, number)
    assert code == -signal.SIGKILL or (code == 0 and not certain), f"call {number}: exit code {code}"


def killed(action: Action, root: Path, prepare: Action, points: int | None = None) -> Iterator[int]:
    """For each call of an action, counted on a first go: prepare, do it, and kill it there. Yields the call's number.

    Args:
        action: what is killed.
        root: the folder whose changes count.
        prepare: makes the state that the action begins with.
        points: how many calls to take, evenly spread; all if None.
    """
    prepare()
    count = done(action, root)
    assert count
    for number in spread(count, points):
        prepare()
        killed_at(number, action, root)
        yield number


def spread(count: int, points: int | None) -> Iterable[int]:
    """Some of the numbers 1 to count, evenly spread; all if `points` is None."""
    if points is None or points >= count:
        return range(1, count + 1)
    return [1 + count * (2 * place + 1) // (2 * points) for place in range(points)]


def snapshot(root: Path, *left_out: str) -> dict[str, str]:
    """SHA-256 of each file below a folder by its path, and the empty folders; files of some names are left out."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in left_out:
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{path.relative_to(root)}/"] = ""
    return found
