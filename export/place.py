"""Where an export goes. Imports without TensorFlow."""

import os
from pathlib import Path

from prerank import folders
from prerank.errors import InputError
from prerank.layout import FEATURES


def target(directory: Path, version: int | None = None) -> Path:
    """Where an export goes, checked before anything is trained.

    Args:
        directory: what the user named.
        version: number of the sub-folder, as TensorFlow Serving reads it, or None.

    Raises:
        InputError: something lies there that is no earlier export, or the folder cannot be written.
    """
    place = directory if version is None else directory / str(version)
    try:
        folders.recover(place)
    except OSError as error:
        raise InputError(f"--export_dir: an interrupted export cannot be undone: {error}", path=place) from error
    if place.is_dir() and any(place.iterdir()) and not (place / FEATURES).exists():
        raise InputError("--export_dir: the folder holds something else than an export, name another", path=place)
    if place.exists() and not place.is_dir():
        raise InputError("--export_dir: expected a folder, found a file", path=place)
    parent = next(folder for folder in place.absolute().parents if folder.exists())
    if not os.access(parent, os.W_OK):
        raise InputError("--export_dir: cannot write there", path=parent)
    return place
