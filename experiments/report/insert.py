"""Fills marked places of a page that is otherwise written by hand."""

import re
from pathlib import Path

from prerank.errors import InputError
from prerank.folders import write_text


def insert(text: str, name: str, content: str) -> str:
    """`text` with what lies between `<!-- NAME -->` and `<!-- end of NAME -->` replaced.

    Raises:
        ValueError: the marks are not there.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    filled, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{content}\n{end}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"expected {begin} and {end} once. Received: {count}")
    return filled


def insert_in_file(path: Path, name: str, content: str) -> None:
    """Fill a marked place of a file.

    Raises:
        InputError: the file cannot be read, or the marks are not in it.
    """
    try:
        write_text(path, insert(path.read_text(encoding="utf-8"), name, content))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be filled in: {error}", path=path) from error
