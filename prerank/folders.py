"""Files and folders that are written whole or not at all. Standard library only.

A writer works beside the final place, under names that follow from it, and holds a lock:

    .NAME.partial    what is being written
    .NAME.replaced   the old folder, from the rename that takes it away until it is deleted
    .NAME.removed    what is being deleted
    .NAME.lock       the lock, deleted by its holder

A process can be killed between any two steps. The next start finds what it left by these names: an old folder whose
successor is not in place gets its name back, see :func:`restore`, and everything else is litter.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prerank.locks import LOCK, BusyError, Report, beside, is_locked, lock_of, locked

_PARTIAL, _REPLACED, _REMOVED = ".partial", ".replaced", ".removed"


def is_whole(path: Path) -> bool:
    """Whether a name is none of those of unfinished and deleted files and folders."""
    return path.suffix not in (_PARTIAL, _REPLACED, _REMOVED)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all. Its folder is made if need be."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Its folder is made if need be.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    working = beside(path, _PARTIAL)
    try:
        with working.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        working.replace(path)
    except BaseException:
        working.unlink(missing_ok=True)
        raise
    _sync_one(path.parent)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file that never changes another name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def holding(place: Path, wait: Report | None = None) -> Iterator[None]:
    """Hold a place for this process only, and find it as the last whole writer left it.

    Args:
        place: a folder, there or not.
        wait: wait for another process that holds it, and say so in a line; do not wait if None.

    Raises:
        BusyError: another process holds it, and `wait` is None.
        OSError: its lock cannot be written.
    """
    with locked(lock_of(place), wait):
        restore(place)
        yield


def is_held(place: Path) -> bool:
    """Whether a process holds a place, see :func:`holding`."""
    return is_locked(lock_of(place))


@contextmanager
def replacing(place: Path) -> Iterator[Path]:
    """A new folder that becomes `place` at the end, or vanishes if there is an error. The caller holds the place.

    Raises:
        OSError: the folder cannot be written; then `place` is as it was.
    """
    working = beside(place, _PARTIAL)
    _delete(working)
    working.mkdir(parents=True)
    try:
        yield working
        put(working, place)
    except BaseException:
        _delete(working)
        raise


def put(working: Path, place: Path) -> None:
    """Give a whole folder the name `place`, and delete what had that name. The caller holds the place.

    Raises:
        OSError: it cannot be renamed; then `place` is as it was.
    """
    sync(working)
    replaced = beside(place, _REPLACED)
    if os.path.lexists(place):
        place.rename(replaced)
    try:
        working.rename(place)
    except OSError:
        restore(place)
        raise
    _sync_one(place.parent)
    if os.path.lexists(replaced):
        discard(replaced, place)


def discard(path: Path, place: Path | None = None) -> None:
    """Delete a file or folder, in one step for all who look. The caller holds the place.

    It is renamed first, so that a kill never leaves half of it under its name. What then cannot be deleted, as a file
    system may keep what others have open, is left for the next start.

    Args:
        path: what to delete.
        place: the place that it belongs to, if it has another name than that.

    Raises:
        OSError: it cannot be renamed.
    """
    removed = beside(place or path, _REMOVED)
    _delete(removed)
    path.rename(removed)
    _delete(removed)


def _delete(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def restore(place: Path) -> None:
    """Bring a place to what the last whole writer left. The caller holds the place.

    Raises:
        OSError: the old folder cannot get its name back.
    """
    replaced = beside(place, _REPLACED)
    if os.path.lexists(replaced):
        if os.path.lexists(place):
            discard(replaced, place)
        else:
            replaced.rename(place)
            _sync_one(place.parent)
    _delete(beside(place, _REMOVED))


def recover(place: Path) -> None:
    """Bring a place to what the last whole writer left, for a reader, or before anything is decided by what is there.

    A writer at work is left alone. It is waited for only in the moment between its two renames.

    Raises:
        OSError: the old folder cannot get its name back.
    """
    replaced = beside(place, _REPLACED)
    while os.path.lexists(replaced) and not os.path.lexists(place):
        with suppress(BusyError), holding(place):
            return
    left = any(os.path.lexists(path) for path in (replaced, beside(place, _REMOVED), lock_of(place)))
    if left and not is_held(place):
        # What is left is litter, which one who may only read cannot delete.
        with suppress(BusyError, OSError), holding(place):
            pass


def recover_below(folder: Path, pattern: str) -> None:
    """As :func:`recover`, for the places of a pattern below `folder`, such as `*/*`, that a killed writer has renamed.

    Raises:
        OSError: an old folder cannot get its name back.
    """
    for left in list(folder.glob(f"{pattern.removesuffix('*')}.*?{_REPLACED}")):
        recover(left.with_name(left.name[1 : -len(_REPLACED)]))


def sweep(folder: Path) -> None:
    """Bring back or delete all that killed writers left in a folder. The caller holds every place in it.

    Raises:
        OSError: an old folder cannot get its name back.
    """
    for left in list(folder.glob(f".*?{_REPLACED}")):
        restore(left.with_name(left.name[1 : -len(_REPLACED)]))
    for suffix in (_PARTIAL, _REMOVED, LOCK):
        for left in list(folder.glob(f".*?{suffix}")):
            _delete(left)


def sync(path: Path) -> None:
    """Bring a file, or a folder with all that it holds, to the disk."""
    if not path.is_dir():
        _sync_one(path)
    for folder, _, names in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                _sync_one(inner)
        _sync_one(Path(folder))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
