"""Reads arrays of `.npy` and `.npz` files: numbers and texts only, no larger than the file that holds them."""

import io
import math
import struct
import tokenize
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prerank.errors import ArtefactError, InputError
from prerank.names import name
from prerank.reading import open_regular

_KINDS = "fiuU"
_BROKEN = (
    ValueError, EOFError, KeyError, TypeError, SyntaxError, tokenize.TokenError, struct.error, OverflowError,
    RecursionError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and zipfile raise at bytes that are none of theirs."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file as `np.savez` writes it, by name.

    Raises:
        ArtefactError: it cannot be read, is damaged, compressed, or holds something else than numbers and texts.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return dict(_member(archive, member) for member in archive.infolist())
    except OSError as error:
        raise ArtefactError(f"cannot be read: {error.strerror or error}", path=path) from error
    except _BROKEN as error:
        raise ArtefactError(f"truncated or damaged: {error}", path=path) from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[str, np.ndarray]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise InputError(f"{member.filename!r} is compressed")
    array = name(member.filename.removesuffix(".npy"))
    content = io.BytesIO(archive.read(member))
    _check_header(content, len(content.getbuffer()))
    content.seek(0)
    return array, np.lib.format.read_array(content, allow_pickle=False)


def map_npy(path: Path) -> np.ndarray:
    """The array of an `.npy` file, memory-mapped.

    Raises:
        OSError: it cannot be read.
        ArtefactError: it is damaged, or holds something else than numbers and texts.
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            _check_header(file, size)
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))  # a plain array's slices are cheaper
    except _BROKEN as error:
        raise ArtefactError(f"damaged: {error}", path=path) from error


def _check_header(file: BinaryIO, size: int) -> None:
    """See that an array is of plain values and fills its file."""
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise InputError(f"numbers or texts expected. Received: {dtype}")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise InputError(f"{size - file.tell()} bytes do not fit the shape {shape} of {dtype}")
