"""Looks into an ONNX file, without the `onnx` package, for weights that lie in other files.

A file's tensor may name another file as the place of its numbers. ONNX Runtime keeps to the model's folder only in its
newer versions, and such a file has no SHA-256 here, so it is refused.
"""

import mmap
from pathlib import Path

from prerank.errors import ArtefactError, InputError
from prerank.reading import DEEPEST, open_regular

# The fields of onnx.proto that lead from a model to its tensors, by message and number.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_ELSEWHERE = "its weights lie in other files, and only one file that holds all is taken"
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


def check_self_contained(path: Path) -> None:
    """See that an ONNX file holds all of its weights.

    Raises:
        ArtefactError: it cannot be read, is no protocol buffer, or names other files.
    """
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _check(data, 0, len(data), "model", 0)
    except OSError as error:
        raise ArtefactError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (InputError, ValueError) as error:  # mmap refuses an empty file by a ValueError
        raise ArtefactError(f"not a whole ONNX file: {error}", path=path) from error


def _check(data: mmap.mmap, at: int, end: int, message: str, depth: int) -> None:
    """Walk over the fields of one message."""
    if depth > DEEPEST:
        raise InputError(f"nested more than {DEEPEST} deep")
    while at < end:
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if not number:
            raise InputError("truncated or damaged")
        if kind == _VARINT:
            value, at = _varint(data, at, end)
            if message == "tensor" and number == _DATA_LOCATION and value:
                raise InputError(_ELSEWHERE)
            continue
        if message == "tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION):
            raise InputError(_ELSEWHERE)
        if kind == _BYTES:
            length, at = _varint(data, at, end)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise InputError("truncated or damaged")
        if length > end - at:
            raise InputError("truncated or damaged")
        if kind == _BYTES and (inner := _FIELDS[message].get(number)):
            _check(data, at, at + length, inner, depth + 1)
        at += length


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, and where it ends."""
    value = 0
    for place in range(min(_LONGEST_VARINT, end - at)):
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise InputError("truncated or damaged")
