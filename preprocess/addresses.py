"""Where raw files lie: in a local folder, or at an address of an object store that fsspec knows.

An address such as `s3://bucket/folder` becomes a path with the methods of :class:`pathlib.Path`, so that nothing else
here has to tell the two apart.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

from pydantic import PlainSerializer, PlainValidator

from prerank import names

_MARK = "://"


Location = Annotated[Path, PlainValidator(lambda place: located(place)), PlainSerializer(str)]
"""A path or an address, as an option."""


def is_address(path: Path) -> bool:
    """Whether a path from :func:`located` is no local one."""
    return _MARK in str(path)


def located(place: str | Path) -> Path:
    """A local path, or an address, as a path.

    Raises:
        ValueError: it is an address, and what reading it takes is not installed; or no path that a file system takes.
    """
    if _MARK not in str(place):
        return names.place(str(place))
    try:
        from upath import UPath

        path = UPath(place)
        path.fs  # noqa: B018  (finds out now whether there is a package for this kind of address)
    except ImportError as error:
        message = f"an address needs pip install -r requirements-spark.txt, and the package of its store ({error})"
        raise ValueError(message) from error
    return cast(Path, path)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a raw file, unpacked if its name ends in .gz."""
    with path.open("rb") as file:
        if path.suffix != ".gz":
            yield cast(BinaryIO, file)
            return
        with gzip.open(file, "rb") as unpacked:
            yield cast(BinaryIO, unpacked)
