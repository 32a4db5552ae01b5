"""Sees that what is opened as a file is one."""

import stat
from pathlib import Path

from prerank.errors import ArtefactError, InputError

NOT_REGULAR = "expected a regular file, found a pipe, a socket or a device"


def require_regular(path: Path, error: type[InputError] = ArtefactError) -> None:
    """See that a path is no pipe, socket or device: to open or to read one may wait for ever.

    What is missing and what is a folder is left to those who open it.

    Raises:
        ArtefactError: it is one, or `error`, if that is given.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise error(NOT_REGULAR, path=path)
