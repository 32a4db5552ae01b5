"""Locks that end with the process that holds them. Standard library only."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prerank.errors import InputError

LOCK = ".lock"
_PATIENCE = 1.0
_POLL = 0.02
_MOST_LOST = 1000

Report = Callable[[str], object]


class BusyError(InputError):
    """Another process holds the lock."""


def lock_of(place: Path) -> Path:
    """The lock of a file or folder, there or not: a file beside it.

    Raises:
        InputError: the place is the root of the file system.
    """
    return beside(place, LOCK)


def beside(place: Path, suffix: str) -> Path:
    """The hidden name of a place with a suffix.

    Raises:
        InputError: the place is the root of the file system.
    """
    if place.name in ("", ".."):
        place = place.resolve()
    if not place.name:
        raise InputError("expected a folder below the root of the file system", path=place)
    return place.with_name(f".{place.name}{suffix}")


@contextmanager
def locked(file: Path, wait: Report | None = None) -> Iterator[None]:
    """Hold a lock: a file that is made for it, and deleted at the end. A killed process holds none.

    Folders that this call made and that stay empty are deleted too.

    Args:
        file: the lock, from :func:`lock_of`, or `.lock` in the folder that is locked.
        wait: wait for another process that holds it, and say so in a line; do not wait if None.

    Raises:
        BusyError: another process holds it, and `wait` is None.
        OSError: the file cannot be written.
    """
    made: list[Path] = []
    try:
        handle = _acquire(file, wait, made)
        try:
            yield
        finally:
            try:
                if _is_file(handle, file):
                    file.unlink()  # while it is held: whoever gets it next sees that it has no name, and starts over
            finally:
                os.close(handle)
    finally:
        _remove_empty(made)


def is_locked(file: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO of that name is no reason to wait
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _acquire(file: Path, wait: Report | None, made: list[Path]) -> int:
    """The lock's open file. The folders made for it are put in `made`, the deepest first."""
    deadline = time.monotonic() + _PATIENCE
    told = False
    while True:
        handle = _open(file, made)
        try:
            free = _flock(handle, blocking=told)
            named = _is_file(handle, file)
            if free and named:
                return handle
            if named and wait is not None:
                wait(f"waiting for another process that writes to {_locks(file)}")
                told = True
            elif named and time.monotonic() > deadline:
                raise BusyError("another process is writing there", path=_locks(file))
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder has deleted the file, or has to be asked again
        if not (free or told):
            time.sleep(_POLL)  # :func:`is_locked` holds a lock for a moment


def _open(file: Path, made: list[Path]) -> int:
    """Open a lock's file; another process may delete the folder that it lies in, if that is empty."""
    for left in reversed(range(_MOST_LOST)):
        missing = [folder for folder in file.parents if not folder.exists()]
        made[:] = dict.fromkeys([*missing, *made])
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
        except (FileNotFoundError, FileExistsError):  # the second: mkdir's check came after the deletion
            if not left:
                raise
    raise AssertionError


def _flock(handle: int, blocking: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file(handle: int, file: Path) -> bool:
    """Whether an open file is still the one of that name: its holder may have deleted it, and others made it anew."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(file))
    except FileNotFoundError:
        return False


def _locks(file: Path) -> Path:
    """What a lock is of."""
    return file.parent if file.name == LOCK else file.with_name(file.name[1 : -len(LOCK)])


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
