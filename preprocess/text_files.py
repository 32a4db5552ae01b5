"""Says what a file is that is read as lines of text, where it is something else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from preprocess.addresses import opened
from prerank.errors import InputError

_PACKED = b"\x1f\x8b"
_KINDS = {
    b"PAR1\x15": "a Parquet file",
    b"ARROW1\0\0": "a Feather file",
    b"PK\x03\x04": "a zip archive, or a workbook",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a workbook",
    b"SQLite format 3\0": "a database",
    b"BZh91AY&SY": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}
"""What files are that begin so. No text does: each beginning has a byte that no text holds, or is long."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 1 << 20


def check_text(path: Path) -> None:
    """See that a file, unpacked if its name ends in .gz, can be lines of text that end in LF or CRLF.

    Raises:
        InputError: it is packed, or of another kind, or its lines end in CR only; says what it is.
    """
    with opened(path) as file:
        data = file.read(_CHUNK)
        packed = path.suffix == ".gz"
        if data.startswith(_PACKED):
            what = "is packed twice: unpack it once" if packed else "is a gzip file: its name has to end in .gz"
            raise InputError(what, path=path)
        kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
        if kind or data.startswith(_UTF_16):
            what = f"{kind}, and no text" if kind else "text in UTF-16: convert it to UTF-8"
            raise InputError(f"{'unpacked, it ' * packed}is {what}", path=path)
        if b"\n" not in data and b"\r" in data.rstrip(b"\r") and not any(b"\n" in chunk for chunk in _rest(file)):
            raise InputError("its lines end in CR only. Expected: LF or CRLF", path=path)


def _rest(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")
