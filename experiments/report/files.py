"""Puts a folder's files in the place of another's, when all of them are written."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from prerank.errors import InputError
from prerank.folders import write_bytes


def contents(folder: Path) -> dict[Path, bytes]:
    """What the files below a folder hold, by their place in it."""
    return {file.relative_to(folder): file.read_bytes() for file in _files(folder)}


def _files(folder: Path) -> list[Path]:
    """The files below a folder, less the hidden ones: locks, and what a killed process left."""
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]


def replace(target: Path, files: Mapping[Path, bytes], outdated: Iterator[Path] | list[Path]) -> list[Path]:
    """Write those files that differ from what is there, each whole or not at all, and remove outdated ones.

    Args:
        target: folder that the places are in.
        files: what each file is to hold.
        outdated: files to remove; a folder that they leave empty is removed too.

    Returns:
        The places of the files that were written.

    Raises:
        InputError: a file cannot be written.
    """
    written = []
    try:
        for place, content in files.items():
            if not _holds(target / place, content):
                write_bytes(target / place, content)
                written.append(place)
        for place in outdated:
            (target / place).unlink(missing_ok=True)
            _remove_empty((target / place).parent, target)
    except OSError as error:
        raise InputError(f"cannot write the results: {error.strerror or error}", path=error.filename) from error
    return written


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
