"""Item ids in a text file, one a line."""

import sys
from pathlib import Path
from typing import Any

from prerank.errors import InputError
from prerank.values import KINDS, MISSING, WrongValueError, read, short


def read_ids(path: Path, raw_type: str, flag: str) -> list[Any]:
    """The item ids of a file, one a line, by the contract of values; empty lines are left out.

    Args:
        path: the file, or `-` for standard input.
        raw_type: of an item id, "int64" or "string".
        flag: which names the file, for messages.

    Raises:
        InputError: it cannot be read, or a line is no id.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{flag}: cannot be read: {error}", path=path) from error
    kind, ids = KINDS[raw_type], []
    for number, line in enumerate(text.split("\n"), 1):  # a text may hold what else ends a line for Python
        line = line.removesuffix("\r")
        if not line:
            continue
        try:
            found = read(line, kind)
        except WrongValueError as error:
            message = f"an item id has to be {error.expected}. Received: {short(line)}"
            raise InputError(message, path=path, line=number) from error
        ids.append(MISSING[kind] if found is None else found)
    return ids
