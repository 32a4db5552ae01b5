"""A folder of Parquet files, as Spark writes it: which files count, and what the names of its folders say."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from prerank.errors import InputError

SUFFIX = ".parquet"
_HIDDEN = ("_", ".")
"""How the names of files begin that Spark and others write beside their data."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""How Spark calls the folder of rows whose partition column is null."""


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files in a folder and below it, without hidden ones and marks such as `_SUCCESS`.

    Raises:
        InputError: there is none, or a file of another kind.
    """
    found = []
    for path in folder.rglob("*"):
        parts = str(path)[len(str(folder)) :].strip("/").split("/")
        if any(part.startswith(_HIDDEN) for part in parts) or path.is_dir():
            continue
        if path.suffix != SUFFIX:
            raise InputError(f"a folder has to hold Parquet files only (*{SUFFIX})", path=path)
        found.append(path)
    if not found:
        raise InputError(f"the folder holds no Parquet file (*{SUFFIX})", path=folder)
    return found


def partitions(folder: Path, path: Path) -> dict[str, str | None]:
    """The columns that the names of the folders between a folder and a file stand for, such as `country=de`.

    A value is a text, or None where Spark says that there is none.
    """
    found: dict[str, str | None] = {}
    for part in str(path)[len(str(folder)) :].split("/")[:-1]:
        name, mark, value = part.partition("=")
        if mark:
            found[urllib.parse.unquote(name)] = None if value == _NO_VALUE else urllib.parse.unquote(value)
    return found
