"""Reads pickles of others: plain containers, numbers, texts and NumPy arrays of numbers. Nothing in them is called.

A pickle is a program. It may name any function and call it. Here it finds stand-ins for the few functions by which
NumPy pickles its arrays, and nothing else. The stand-ins are instances that take no state, so no pickle can change
them. NumPy's own readers of state, which trust what they are given, are never reached: an array becomes one only when
the whole pickle is read.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from prerank.errors import InputError
from prerank.reading import open_regular

MOST_BYTES = 4 << 30
"""Most bytes of a file, unless its reader says otherwise."""
_DTYPE = re.compile("[biuf][1248]")
_ORDERS = {"<": "<", ">": ">", "|": "|", "=": "="}
_KEYS = (int, float, str, bytes, type(None))
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ImportError, MemoryError,
    OverflowError, RecursionError, AssertionError, struct.error,
)  # fmt: skip
"""What the unpickler and the stand-ins raise at bytes that are none of theirs."""


def read_pickle(path: Path, most: int = MOST_BYTES) -> Any:
    """What a pickle holds: dict, list, tuple, set, numbers, texts, bytes, None, and arrays of numbers.

    Keys and elements of sets are numbers, texts, bytes, None, or tuples of these that hold no tuple.

    Raises:
        InputError: the file cannot be read, is larger than `most` bytes, is damaged, or names something else.
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            if size > most:
                raise InputError(f"a pickle of at most {most} bytes expected. Received: {size}", path=path)
            file.seek(0)
            return _Whole().of(_Unpickler(file).load())
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except _ForbiddenError as error:
        raise InputError(str(error), path=path) from error
    except _BROKEN as error:
        raise InputError(f"damaged, or no pickle ({str(error) or type(error).__name__})", path=path) from error


class _ForbiddenError(Exception):
    """A pickle names what is no stand-in."""


def _check_keys(keys: Iterable[Any]) -> None:
    """Check keys before they are hashed: the hash of tuples within tuples may take exponentially many steps."""
    for key in keys:
        if not all(isinstance(part, _KEYS) for part in (key if type(key) is tuple else (key,))):
            raise _ForbiddenError(
                f"the pickle has a key of {type(key).__name__}: only plain values and flat tuples of them are read"
            )


def _checked(opcode: bytes, keys: slice) -> Callable[[Any], None]:
    """The unpickler's method for an opcode, after a check of what it hashes: `keys` of the stack since a mark."""
    load = pickle._Unpickler.dispatch[opcode[0]]

    def checked(unpickler: Any) -> None:
        _check_keys(unpickler.stack[keys])
        load(unpickler)

    return checked


class _Unpickler(pickle._Unpickler):
    """The unpickler in Python, as that in C hashes whatever is a key and leaves no place for a check."""

    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    dispatch = pickle._Unpickler.dispatch | {
        pickle.SETITEM[0]: _checked(pickle.SETITEM, slice(-2, -1)),
        pickle.SETITEMS[0]: _checked(pickle.SETITEMS, slice(None, None, 2)),
        pickle.DICT[0]: _checked(pickle.DICT, slice(None, None, 2)),
        pickle.ADDITEMS[0]: _checked(pickle.ADDITEMS, slice(None)),
        pickle.FROZENSET[0]: _checked(pickle.FROZENSET, slice(None)),
        pickle.BYTEARRAY8[0]: lambda unpickler: unpickler.load_bytes_as_array(),
    }

    def load_bytes_as_array(self) -> None:
        """A bytearray of as many bytes as there are; Python's method first takes the memory that the pickle says."""
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        found = _KNOWN.get((module, name))
        if found is None:
            raise _ForbiddenError(
                f"the pickle names {module}.{name}: only plain containers and NumPy arrays of numbers are read"
            )
        return found

    def persistent_load(self, identifier: Any) -> NoReturn:
        raise _ForbiddenError("the pickle names something outside itself: only plain containers and arrays are read")


class _Standin:
    """Stands for a function or a class that a pickle names."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]):
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise _ForbiddenError("the pickle changes a function: only plain containers and NumPy arrays are read")


class _Dtype:
    """Stands for a type of numbers."""

    __slots__ = ("_name",)

    def __init__(self, name: Any, *_: Any):
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            given = repr(name) if isinstance(name, str) else type(name).__name__  # to write out tuples may take forever
            raise _ForbiddenError(f"the pickle has an array of {given}: only arrays of numbers are read")
        self._name = name

    def __setstate__(self, state: Any) -> None:
        _, order, inner, names, fields, *_ = state
        if (inner, names, fields) != (None, None, None):
            raise _ForbiddenError("the pickle has an array of records: only arrays of numbers are read")
        if not isinstance(order, str):
            raise TypeError("an order of bytes that is no text")
        self._name = _ORDERS[order] + self._name[-2:]

    @property
    def value(self) -> np.dtype:
        return np.dtype(self._name)


class _Array:
    """Stands for an array, whose state may come later. No pickle gets hold of the array itself."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    @classmethod
    def of(cls, *arguments: Any) -> _Array:
        """One that has its state: what :func:`_array` gives."""
        made = cls()
        made.value = _array(*arguments)
        return made

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, content = state
        self.value = _array(content, dtype, shape, "F" if by_columns else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
        raise _ForbiddenError("the pickle has an array of objects: only arrays of numbers are read")
    lengths = tuple(shape)
    if order not in ("C", "F") or any(type(length) is not int or length < 0 for length in lengths):
        raise ValueError("an array of a shape that is not of integers of 0 or more")
    if math.prod(lengths) * dtype.value.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes do not fit the shape {lengths}")
    return np.frombuffer(content, dtype.value).reshape(lengths, order=order)


def _scalar(dtype: Any, content: Any) -> int | float | bool:
    """A number of NumPy as Python has it, at once: it may be a key."""
    return _array(content, dtype, (), "C").item()


def _encode(text: Any, encoding: Any) -> bytes:
    """How old pickles spell bytes."""
    if encoding != "latin1":
        raise ValueError("bytes in another encoding than latin1")
    return text.encode(encoding)


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    pairs = [(key, value) for key, value in pairs]
    _check_keys(key for key, _ in pairs)
    return dict(pairs)


def _elements(elements: Any = ()) -> list[Any]:
    """What a set may hold."""
    elements = list(elements)
    _check_keys(elements)
    return elements


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _KNOWN["numpy", "ndarray"]:
        raise _ForbiddenError("the pickle has an array of another class: only plain arrays are read")
    return _Array()


def _not_called(*_: Any) -> NoReturn:
    raise _ForbiddenError("the pickle makes an array in a way that NumPy does not")


_KNOWN: dict[tuple[str, str], _Standin] = {
    ("numpy", "ndarray"): _Standin(_not_called),
    ("numpy", "dtype"): _Standin(_Dtype),
    ("numpy.core.multiarray", "_reconstruct"): _Standin(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Standin(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Standin(_Array.of),
    ("collections", "OrderedDict"): _Standin(_dict),
    ("builtins", "bytes"): _Standin(lambda: b""),  # how old pickles spell no bytes
    ("builtins", "set"): _Standin(lambda *given: set(_elements(*given))),
    ("builtins", "frozenset"): _Standin(lambda *given: frozenset(_elements(*given))),
    ("_codecs", "encode"): _Standin(_encode),
}


class _Whole:
    """Puts arrays where their stand-ins are, in every container, of which one may occur at several places."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._tuples: dict[int, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}  # with the old ones, so that ids stay

    def of(self, value: Any) -> Any:
        """The value with its arrays."""
        if isinstance(value, _Array):
            if value.value is None:
                raise ValueError("an array without content")
            return value.value
        if isinstance(value, _Standin | _Dtype):
            raise _ForbiddenError("the pickle holds a function or a type: only plain containers and arrays are read")
        if isinstance(value, tuple):
            if id(value) not in self._tuples:  # nested tuples may have exponentially many paths
                self._tuples[id(value)] = value, tuple(self.of(element) for element in value)
            return self._tuples[id(value)][1]
        if isinstance(value, dict | list) and id(value) not in self._seen:
            self._seen.add(id(value))
            for key in range(len(value)) if isinstance(value, list) else list(value):
                value[key] = self.of(value[key])
        return value
