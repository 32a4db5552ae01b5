"""A folder that appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = ".unfinished-"


@contextmanager
def exclusive(folder: Path, report: Callable[[str], object]) -> Iterator[None]:
    """Hold a folder, made if need be, for this process alone; wait for another that holds it.

    What a killed process left unfinished in it is removed. The lock ends with the process, so a
    killed one leaves none. A folder that this call made and that stays empty is removed again.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that writes to {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        yield
    finally:
        _remove_empty(made)
        os.close(handle)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that becomes `folder` at the end, or vanishes if there is an error."""
    unfinished = folder.with_name(_UNFINISHED + folder.name)
    unfinished.mkdir()
    try:
        yield unfinished
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
