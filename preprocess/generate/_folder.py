"""A generated data set's folder, which appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preprocess.generated import MARKER, MARKER_TEXT
from prerank import folders
from prerank.errors import InputError


class ExistsError(InputError):
    """The folder holds something already."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into, which becomes `folder` at the end, or vanishes if there is an error.

    It holds the marker of generated data.

    Raises:
        ExistsError: the folder holds something.
        InputError: it or a file in it cannot be written.
    """
    try:
        with folders.holding(folder, print):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ExistsError("exists already: name a new folder for the generated data", path=folder)
            with folders.replacing(folder) as whole:
                (whole / MARKER).write_text(MARKER_TEXT, "utf-8")
                yield whole
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error}): free or name another place"
        raise InputError(reason, path=folder) from error
