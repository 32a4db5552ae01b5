"""Reads small files of others: JSON of bounded size and depth, checked by a type, with errors that name the field.

Everything that is JSON is read here. A file is opened only if it is a regular one, so that no pipe hangs.
"""

import functools
import json
import math
import os
import re
import stat
from collections.abc import Hashable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from prerank import names
from prerank.errors import InputError
from prerank.regular import NOT_REGULAR

MOST_BYTES = 2 << 20
"""Most bytes of a file, unless its reader says otherwise."""
MOST_BYTES_OF_FIELDS = 8 << 20
"""Most bytes of a file that describes every field of a data set: some ten thousand fields."""
DEEPEST = 64
"""Most values within one another."""
_MOST_DIGITS = 100
_MANY_DIGITS = re.compile(f"[0-9]{{{_MOST_DIGITS}}}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_T = TypeVar("_T")

Name = Annotated[str, AfterValidator(names.name)]
"""A text that becomes the name of a folder or a file."""
InnerPath = Annotated[str, AfterValidator(names.inner_path)]
"""A text that is the path of a file within a folder."""
RECORD = ConfigDict(extra="allow", allow_inf_nan=False)
"""The configuration of a record: what newer versions add to it is kept."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: there is none, or it is a folder, a pipe or a device.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name
        raise FileNotFoundError(2, str(error), str(path)) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(22, NOT_REGULAR, str(path))
    return cast(BufferedReader, os.fdopen(handle, "rb"))


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: it cannot be read.
        InputError: it has more than `most` bytes.
    """
    with open_regular(path) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise InputError(f"expected at most {most:,} bytes, found more")
    return found


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a regular file in UTF-8, without a byte order mark.

    Raises:
        OSError: it cannot be read.
        InputError: it is not UTF-8, begins with a byte order mark, or has more than `most` bytes.
    """
    try:
        text = read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise InputError("begins with a byte order mark, expected plain UTF-8")
    return text


def parse_json(text: str, *, constants: bool = False) -> Any:
    """What a JSON text says.

    Args:
        text: the text.
        constants: take NaN, Infinity and -Infinity too, which Python writes.

    Raises:
        InputError: it is not JSON, is nested too deeply, has a key twice, half a surrogate pair, or a number that no
            float or integer of 100 digits is.
    """
    try:
        found = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer if _MANY_DIGITS.search(text) else None,  # a call for each integer takes its time
            parse_float=_number,
            parse_constant=float if constants else _constant,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"truncated or damaged, not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        ) from error
    _check_depth(found)
    if _SURROGATE.search(text):
        _check_unicode(found)
    return found


def read_json(
    path: Path, *, most: int = MOST_BYTES, constants: bool = False, raises: type[InputError] = InputError
) -> Any:
    """What a JSON file says; see :func:`parse_json`.

    Args:
        path: the file.
        most: most bytes of it.
        constants: as for :func:`parse_json`.
        raises: the kind of error to raise.

    Raises:
        InputError: it cannot be read or is not whole; of the kind `raises`.
    """
    try:
        return parse_json(_text_of(path, most), constants=constants)
    except InputError as error:
        raise raises(str(error), path=path) from error


def read_record(
    path: Path,
    kind: type[_T],
    *,
    most: int = MOST_BYTES,
    constants: bool = False,
    raises: type[InputError] = InputError,
) -> _T:
    """A JSON file as an object of a type: a pydantic model, a dataclass or a TypedDict.

    Args:
        path: the file.
        kind: the type. Values are not converted: a text is no number, and a number no truth value.
        most: most bytes of the file.
        constants: as for :func:`parse_json`.
        raises: the kind of error to raise.

    Raises:
        InputError: it cannot be read, is not whole, or a field is wrong; of the kind `raises`.
    """
    try:
        return check(_text_of(path, most), kind, constants=constants)
    except InputError as error:
        raise raises(str(error), path=path) from error


def check(text: str, kind: type[_T], *, constants: bool = False) -> _T:
    """JSON as an object of a type; see :func:`read_record`.

    Raises:
        InputError: it is not JSON, or a field is wrong.
    """
    values = parse_json(text, constants=constants)
    try:
        return cast(_T, _adapter(cast(Hashable, kind)).validate_json(text, strict=True))
    except ValidationError as error:
        raise InputError(f"damaged: {problem(error, values)}") from error


def problem(error: ValidationError, values: Any) -> str:
    """The first thing that is wrong with some values, and its field."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(_field(first["loc"], values, first["type"] == "missing"))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such key"
    received = "" if first["type"] in ("missing", "value_error") else f". Received: {first['input']!r}"
    return f"{field}: {message}{received}" if field else f"{message}{received}"


def _field(location: tuple[int | str, ...], values: Any, missing: bool) -> Iterator[str]:
    """The keys and places of a location that are in the values; pydantic names the parts of unions too."""
    for number, part in enumerate(location, 1):
        if isinstance(values, dict) and part in values or isinstance(values, list) and isinstance(part, int):
            values = values[part]  # type: ignore[index]
            yield str(part)
        elif missing and number == len(location):
            yield str(part)


@functools.cache
def _adapter(kind: Hashable) -> TypeAdapter:
    return TypeAdapter(cast(Any, kind))


def _text_of(path: Path, most: int) -> str:
    try:
        return read_text(path, most)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"the key {twice!r} occurs twice")
    return found


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise InputError(f"an integer of {len(text)} digits, expected at most {_MOST_DIGITS}")
    return int(text)


def _number(text: str) -> float:
    value = float(text) if len(text) <= 10 * _MOST_DIGITS else math.inf
    if math.isinf(value):
        raise InputError(f"a number that no float of 64 bits is: {text}")
    return value


def _constant(text: str) -> float:
    raise InputError(f"expected a finite number. Received: {text}")


def _too_deep() -> InputError:
    return InputError(f"nested more than {DEEPEST} deep")


def _check_depth(found: Any) -> None:
    level = [found] if isinstance(found, dict | list) else []
    for _ in range(DEEPEST):
        inner = [values.values() if isinstance(values, dict) else values for values in level]
        # most lists hold no others, which their types tell fastest
        inner = [values for values in inner if not {dict, list}.isdisjoint(map(type, values))]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise _too_deep()


def _check_unicode(found: Any) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("half a surrogate pair in a text, no Unicode") from error
