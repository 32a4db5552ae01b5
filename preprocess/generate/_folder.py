"""A generated data set's folder, which appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preprocess.generated import MARKER, MARKER_TEXT
from prerank.errors import InputError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into, which becomes `folder` at the end, or vanishes if there is an error.

    It holds the marker of generated data.

    Raises:
        InputError: the folder holds something, or it or a file in it cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError("exists already: name a new folder for the generated data", path=folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            whole = Path(scratch) / "whole"
            whole.mkdir()
            (whole / MARKER).write_text(MARKER_TEXT, "utf-8")
            yield whole
            os.replace(whole, folder)
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error}): free or name another place"
        raise InputError(reason, path=folder) from error
