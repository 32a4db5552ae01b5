"""Columns of Arrow as the contract of values has them (see :mod:`prerank.values`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prerank import values as contract
from prerank.values import EARLIEST, EXPECTED, LATEST, LIST, MISSING, TOO_LARGE, Kind, WrongValueError, wrong

TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "number": pa.float64(),
    "label": pa.float64(),
    "seconds": pa.int64(),
}
"""What a column of a kind becomes; a sequence becomes a list of it."""
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400
_PLAIN: dict[str, Callable[[pa.Array], pa.Array]] = {
    "arrow.json": lambda stored: stored,
    "arrow.bool8": lambda stored: pc.not_equal(stored, 0),
}
"""By the name of an extension type of Arrow, what makes a plain type of what it stores."""


def column(values: pa.Array | pa.ChunkedArray, kind: Kind, per_second: int = 1, *, required: bool = False) -> pa.Array:
    """A column as its kind has it, null where a value is missing.

    Args:
        values: raw values, of any Arrow type.
        kind: what they have to be.
        per_second: units of an integer time in a second.
        required: a null or a NaN is an error; -1 and '' are not.

    Returns:
        An array of the type in :data:`TYPES`.

    Raises:
        WrongValueError: a value is none of the kind, or is out of range; with its place.
    """
    values = _decoded(values)
    if required:
        place = _first(pc.is_null(_wide(values), nan_is_null=pa.types.is_floating(values.type)))
        if place is not None:
            raise wrong(kind, values[place].as_py(), place)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), TYPES[kind])
    if kind == "text":
        return _texts(values)
    if kind == "int":
        return _without(_integers(values, kind), contract.MISSING_INTEGER)
    if kind == "seconds":
        return _moments(values, per_second)
    return _numbers(values, kind)


def lists(values: pa.Array | pa.ChunkedArray, kind: Kind, separator: str = "") -> pa.ListArray:
    """A column of sequences: lists of what :func:`column` makes of their elements, null where a list is.

    Args:
        values: lists, of any Arrow type; with a separator also texts, or integers, each of which is a text.
        kind: what the elements have to be.
        separator: stands between the elements of a text.

    Raises:
        WrongValueError: they are no lists, or an element is wrong; with the place of its list.
    """
    given = values = _decoded(values)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.list_(TYPES[kind]))
    if not _is_list(values.type):
        if not separator:
            place = _first(pc.is_valid(values)) or 0
            raise _no_list(kind, values[place].as_py(), place)
        try:
            values = pc.split_pattern(column(values, "text"), separator)
        except WrongValueError as error:
            if isinstance(error.value, str):  # a text, of characters that none may have
                raise WrongValueError(f"{LIST}{error.expected}", error.value, error.place) from error
            raise _no_list(kind, error.value, error.place, separator) from error
    lengths = pc.list_value_length(values).fill_null(0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    try:
        elements = column(values.flatten(), kind)
    except WrongValueError as error:
        place = int(np.searchsorted(offsets, error.place or 0, "right")) - 1
        raise WrongValueError(f"{LIST}{error.expected}", given[place].as_py(), place) from error
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, mask=pc.is_null(values))


def _no_list(kind: Kind, value: Any, place: int | None, separator: str = "") -> WrongValueError:
    between = f", or a text of such values with {separator!r} between them" if separator else ""
    return WrongValueError(f"{LIST}{EXPECTED[kind]}{between}", value, place)


def to_numpy(found: pa.Array, kind: Kind) -> np.ndarray:
    """What :func:`column` gave, as a model takes it: int64, objects of text, or float64, missing values spelt out."""
    return found.fill_null(MISSING[kind]).to_numpy(zero_copy_only=False)


def _decoded(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """An array of one piece, whose values are spelt out, and of a plain type where Arrow has an own name for one."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values.type, pa.BaseExtensionType) and values.type.extension_name in _PLAIN:
        values = _PLAIN[values.type.extension_name](values.storage)
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _is_list(kind: pa.DataType) -> bool:
    tests: tuple[Callable[[Any], bool], ...] = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in (*texts, *binary))


def _first(mask: pa.BooleanArray) -> int | None:
    place = pc.index(mask, True).as_py()
    return None if place < 0 else place


def _check(mask: pa.BooleanArray, values: pa.Array, kind: Kind, *, beyond: bool = False) -> None:
    if (place := _first(mask)) is not None:
        raise wrong(kind, values[place].as_py(), place, beyond=beyond)


def _without(values: pa.Array, missing: Any) -> pa.Array:
    """The values, null in the stead of `missing`."""
    return pc.if_else(pc.equal(values, missing), pa.scalar(None, values.type), values)


def _unicode(values: pa.Array, kind: Kind) -> pa.StringArray:
    """Texts or bytes as texts, '' as null."""
    try:
        # by way of bytes: what a file calls a text is not looked at otherwise
        binary = values.cast(pa.large_binary() if pa.types.is_large_string(values.type) else pa.binary())
        found = binary.cast(pa.string())
    except pa.ArrowInvalid:
        for place, value in enumerate(values.cast(pa.large_binary())):
            try:
                contract.plain(value)
            except WrongValueError as error:
                raise WrongValueError(error.expected, error.value, place) from error
        raise
    _check(pc.match_substring(found, "\0"), found, kind, beyond=kind == "text")
    return _without(found, contract.MISSING_TEXT)


def _texts(values: pa.Array) -> pa.StringArray:
    if _is_text(values.type):
        return _unicode(values, "text")
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return values.cast(pa.string())
    _check(pc.invert(pc.is_null(_wide(values), nan_is_null=pa.types.is_floating(values.type))), values, "text")
    return pa.nulls(len(values), pa.string())


def _integers(values: pa.Array, kind: Kind) -> pa.Int64Array:
    """Integers, -1 as it is."""
    if _is_text(values.type):
        return _integers_of_texts(_unicode(values, kind), kind)
    if pa.types.is_uint64(values.type):
        _check(pc.greater(values, pa.scalar(contract.LARGEST, pa.uint64())), values, kind, beyond=True)
    elif pa.types.is_floating(values.type):
        digits = np.finfo(values.type.to_pandas_dtype()).nmant + 1
        values = _wide(values)
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less_equal(pc.abs(values), 2.0**digits))
        _check(pc.invert(whole), values, kind)
    elif pa.types.is_decimal(values.type):
        return _one_by_one(values, kind, lambda value: contract.integer(value, kind))
    elif not (pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        _check(pc.is_valid(values), values, kind)
        return pa.nulls(len(values), pa.int64())
    return values.cast(pa.int64())


def _integers_of_texts(texts: pa.StringArray, kind: Kind) -> pa.Int64Array:
    _check(pc.invert(pc.match_substring_regex(texts, contract.INTEGER)), texts, kind)
    size = pc.utf8_ltrim(texts, "-")
    bound = pc.if_else(pc.starts_with(texts, "-"), str(-contract.SMALLEST), str(contract.LARGEST))
    many = pc.equal(pc.utf8_length(size), len(str(contract.LARGEST)))
    _check(pc.and_(many, pc.greater(size, bound)), texts, kind, beyond=True)
    return texts.cast(pa.int64())


def _moments(values: pa.Array, per_second: int) -> pa.Int64Array:
    if pa.types.is_timestamp(values.type):
        found = _floor_divided(values.cast(pa.int64()), _PER_SECOND[values.type.unit])
    elif pa.types.is_date(values.type):
        found = pc.multiply(values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), _DAY)
    else:
        found = _floor_divided(_without(_integers(values, "seconds"), contract.MISSING_INTEGER), per_second)
    out = pc.or_(pc.less(found, EARLIEST), pc.greater(found, LATEST))
    _check(out, values, "seconds", beyond=True)
    return found


def _floor_divided(values: pa.Array, divisor: int) -> pa.Array:
    if divisor == 1:
        return values
    towards_zero = pc.divide(values, divisor)
    too_large = pc.less(values, pc.multiply(towards_zero, divisor))
    return pc.subtract(towards_zero, too_large.cast(pa.int64()))


def _numbers(values: pa.Array, kind: Kind) -> pa.DoubleArray:
    """Numbers; features in 32 bits, as exported models take them, and without -1."""
    if _is_text(values.type):
        texts = _without_nan_spelt(_unicode(values, kind))
        _check(pc.invert(pc.match_substring_regex(texts, contract.NUMBER)), texts, kind)
        found = texts.cast(pa.float64())
    elif pa.types.is_floating(values.type):
        found = values.cast(pa.float64())
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)
    elif pa.types.is_decimal(values.type) and kind == "label":
        # Arrow's own cast is off by the last digit, which 32 bits do not show, and a label does.
        return _one_by_one(values, kind, lambda value: contract.read(value, kind))
    elif pa.types.is_integer(values.type) or pa.types.is_boolean(values.type) or pa.types.is_decimal(values.type):
        found = values.cast(pa.float64(), safe=False)
    else:
        _check(pc.is_valid(values), values, kind)
        return pa.nulls(len(values), pa.float64())
    if kind == "label":
        _check(pc.is_inf(found), values, kind, beyond=True)
        return found
    _check(pc.greater_equal(pc.abs(found), TOO_LARGE), values, kind, beyond=True)
    return _without(found.cast(pa.float32(), safe=False).cast(pa.float64()), contract.MISSING_INTEGER)


def _without_nan_spelt(texts: pa.StringArray) -> pa.StringArray:
    spelt = pc.equal(pc.utf8_lower(texts), contract.NOT_A_NUMBER)
    return pc.if_else(spelt, pa.scalar(None, pa.string()), texts)


def _wide(values: pa.Array) -> pa.Array:
    """Floats of 16 bits in 32, as Arrow computes little with the former; others as they are."""
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


def _one_by_one(values: pa.Array, kind: Kind, read: Callable[[Any], Any]) -> pa.Array:
    """The slow way, for types that are rare."""
    found = []
    for place, value in enumerate(values.to_pylist()):
        try:
            found.append(None if value is None else read(value))
        except WrongValueError as error:
            raise WrongValueError(error.expected, error.value, place) from error
    return pa.array(found, TYPES[kind])
