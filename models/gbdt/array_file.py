"""Arrays in one NumPy archive. Reading runs no code, and takes no more memory than the file is large."""

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from prerank.errors import InputError

ArrayKind = tuple[type[np.generic], int]
"""Type of an array's numbers, and how many axes it has."""

_SUFFIX = ".npy"
_MOST_CHARACTERS = 200
# What zipfile and NumPy raise at damaged bytes; an array's header is Python, and may be nested too deeply.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
    SyntaxError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers by name.

    Raises:
        OSError: the file cannot be written.
        ValueError: an array holds objects.
    """
    np.savez(path, allow_pickle=False, **arrays)


def read_arrays(path: Path, kinds: Mapping[str, ArrayKind]) -> dict[str, np.ndarray]:
    """Read what :func:`write_arrays` wrote.

    Args:
        path: the archive.
        kinds: what each array has to be, by name.

    Returns:
        The arrays by name, read-only.

    Raises:
        InputError: the file is missing, truncated or damaged, or holds other arrays than `kinds` says.
    """
    if not path.is_file():
        raise InputError("there is no such file", path=path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(member.filename for member in archive.infolist())
            if found != sorted(name + _SUFFIX for name in kinds):
                raise ValueError(f"expected the arrays {', '.join(sorted(kinds))}. Received: {', '.join(found)}")
            return {name: _read(archive, name, *kind) for name, kind in kinds.items()}
    except _DAMAGED as error:
        text = str(error) or type(error).__name__
        raise InputError(f"not a whole archive of arrays: {text[:_MOST_CHARACTERS]}", path=path) from error


def _read(archive: zipfile.ZipFile, name: str, dtype: type[np.generic], axes: int) -> np.ndarray:
    """One array. Its header is read first, as it may promise other numbers, or more of them, than there are."""
    member = archive.getinfo(name + _SUFFIX)
    if member.compress_type != zipfile.ZIP_STORED:  # a small compressed file may become a very large array
        raise ValueError(f"{name}: expected an array that is not compressed")
    content = archive.read(member)
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError(f"{name}: expected version 1.0 of the format")
    shape, by_column, found = npy.read_array_header_1_0(stream)
    if found != np.dtype(dtype) or len(shape) != axes or by_column:
        expected = f"{np.dtype(dtype)} of {axes} axes"
        raise ValueError(f"{name}: expected {expected}. Received: {found} of shape {shape}")
    start = stream.tell()
    if math.prod(shape) * found.itemsize != len(content) - start:
        raise ValueError(f"{name}: expected numbers for shape {shape}. Received: {len(content) - start} bytes")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)
