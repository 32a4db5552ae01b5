"""Names and paths that come from flags and files, checked before any folder is opened by them."""

import os
import re
from pathlib import Path, PurePosixPath

from prerank.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LONGEST_PART, _LONGEST = 255, 4095
_DEEPEST = 16


def name(text: str) -> str:
    """A name that may become a folder or a file: letters, digits, `_`, `-` and `.`, from a letter or a digit on.

    Raises:
        InputError: it is none, such as `../x`, or has more than 100 characters.
    """
    if not _NAME.fullmatch(text):
        raise InputError(f"expected a name: at most 100 letters, digits, and _, - or . after them. Received: {text!r}")
    return text


def inner_path(text: str) -> str:
    """The path of a file within a folder, with / between its parts.

    Raises:
        InputError: it is empty, absolute, too long, leads out of the folder, or has a part that no file has.
    """
    parts = text.split("/")
    wrong = any(part in ("", ".", "..") or "\\" in part or not part.isprintable() for part in parts)
    if wrong or len(parts) > _DEEPEST:
        raise InputError(f"expected the path of a file within the folder. Received: {text!r}")
    place(text)
    return str(PurePosixPath(text))


def place(text: str) -> Path:
    """A path that the file system takes.

    Raises:
        InputError: it has a NUL or half a surrogate pair, or is too long.
    """
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError as error:
        raise InputError(f"no path: not Unicode. Received: {text!r}") from error
    if "\0" in text:
        raise InputError(f"no path: it has a NUL. Received: {text!r}")
    if max(map(len, parts)) > _LONGEST_PART or sum(map(len, parts)) + len(parts) > _LONGEST:
        raise InputError(f"no path: too long for a file system. Received: {text!r}")
    return Path(text)
