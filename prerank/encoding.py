"""Raw values to the inputs of an exported ONNX model, outside of its graph.

Needs NumPy and pydantic only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from pydantic import FailFast, Field, with_config
from typing_extensions import TypedDict

from prerank import description, hashed_ids, reading
from prerank.description import Count, Digest
from prerank.errors import InputError
from prerank.layout import FEATURES, VOCABULARIES
from prerank.reading import RECORD, Name

_DTYPES: dict[str, type] = {"int64": np.int64, "string": object}
_SPELT = {"int64": int, "string": str}
_MOST_BYTES = 2 << 30


@with_config(RECORD)
class EncodedInput(TypedDict):
    """An input, as far as encoding it goes."""

    name: Name
    kind: Literal["sparse", "sequence", "dense"]
    dtype: Literal["int64", "string", "float32"]
    missing: int | str
    vocabulary: NotRequired[str]
    vocabulary_size: NotRequired[Count]
    hash_buckets: NotRequired[Annotated[int, Field(gt=0, le=2**31)]]
    default: NotRequired[float | list[Any]]
    mean: NotRequired[float]
    scale: NotRequired[float]


@with_config(RECORD)
class Reserved(TypedDict):
    """The indices that no vocabulary has."""

    missing: int
    unseen: int
    first: int


@with_config(RECORD)
class Encoding(TypedDict):
    """The part of `features.json` that encoding needs."""

    format: str
    inputs: Annotated[list[EncodedInput], FailFast()]
    reserved: NotRequired[Reserved]
    sha256: NotRequired[Digest]


class Indexer:
    """Looks up the vocabularies of an ONNX export and scales its numbers, as a SavedModel does in its graph.

    Args:
        folder: the export, for its `features.json` and `vocabularies.json`.

    Raises:
        InputError: a file cannot be read or is damaged, or the export is no ONNX.
    """

    def __init__(self, folder: Path):
        described, text = description.read_as(folder, Encoding)
        try:
            if described["format"] != "onnx":
                raise InputError("an export in the format onnx expected")
            if "reserved" not in described:
                raise InputError("damaged: reserved: Field required")
            description.check_digest(described, text)
        except InputError as error:
            raise InputError(str(error), path=folder / FEATURES) from error
        vocabularies = reading.read_json(folder / VOCABULARIES, most=_MOST_BYTES)
        self._inputs: dict[str, dict[str, Any]] = {item["name"]: item for item in described["inputs"]}
        self._reserved: dict[str, int] = described["reserved"]
        self._vocabularies: dict[str, _Vocabulary | _Buckets] = {}
        for item in self._inputs.values():
            try:
                self._check(item)
                if item["kind"] != "dense":
                    self._vocabularies[item["vocabulary"]] = self._vocabulary(item, vocabularies)
            except InputError as error:
                message = f"{FEATURES} and {VOCABULARIES} do not fit: {item['name']}: {error}"
                raise InputError(message, path=folder) from error

    def _check(self, item: Mapping[str, Any]) -> None:
        if item["kind"] == "dense":
            if not all(isinstance(item.get(name), int | float) for name in ("default", "mean", "scale")):
                raise InputError("a number needs default, mean and scale")
            if not item["scale"]:
                raise InputError("scale is 0")
        elif "vocabulary" not in item or type(item["missing"]) is not _SPELT.get(item["dtype"]):
            raise InputError(f"an id needs a vocabulary, and missing of its type {item['dtype']}")

    def _vocabulary(self, item: Mapping[str, Any], vocabularies: Any) -> "_Vocabulary | _Buckets":
        if "hash_buckets" in item:
            return _Buckets(item["hash_buckets"])
        values = vocabularies.get(item["vocabulary"]) if isinstance(vocabularies, dict) else None
        if not isinstance(values, list) or not set(map(type, values)) <= {_SPELT[item["dtype"]]}:
            raise InputError(f"the vocabulary {item['vocabulary']} is no list of {item['dtype']}")
        if len(values) + self._reserved["first"] != item.get("vocabulary_size"):
            raise InputError(f"the vocabulary {item['vocabulary']} has {len(values)} values")
        try:
            return _Vocabulary(np.asarray(values, _DTYPES[item["dtype"]]))
        except OverflowError as error:
            raise InputError(f"the vocabulary {item['vocabulary']} has an integer of more than 64 bits") from error

    def encode(self, raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """What the model takes for raw values.

        Args:
            raw: by input name, for the inputs wanted, values spelt as in the raw files: (B,), or (B, L) for a sequence,
                whose rows may be lists of different lengths too, then padded on the right.

        Returns:
            By input name: int32 indices (B,) or (B, L), scaled float32 numbers (B,). L is at least 1: the model does
            not take sequences of no length, for all that it takes empty ones.

        Raises:
            InputError: the model has no such input, or values have another type or shape.
        """
        if unknown := sorted(set(raw) - set(self._inputs)):
            raise InputError(f"there is no input {', '.join(unknown)}, only {', '.join(self._inputs)}")
        return {name: self._encode(self._inputs[name], values) for name, values in raw.items()}

    def _encode(self, item: Mapping[str, Any], raw: Any) -> np.ndarray:
        if item["kind"] == "dense":
            values = _numbers(item, raw)
            values = np.where(np.isnan(values), np.float32(item["default"]), values)
            return ((values.astype(np.float64) - item["mean"]) / item["scale"]).astype(np.float32)
        values = _ids(item, _padded(item, raw) if item["kind"] == "sequence" else raw)
        places = self._vocabularies[item["vocabulary"]].find(values)
        indices = np.where(places < 0, self._reserved["unseen"], places + self._reserved["first"])
        return np.where(values == item["missing"], self._reserved["missing"], indices).astype(np.int32)


class _Vocabulary:
    """Finds values by bisection: a dictionary of millions of ids would take ten times the memory."""

    def __init__(self, values: np.ndarray):
        self._order = np.argsort(values)
        self._sorted = values[self._order]

    def find(self, values: np.ndarray) -> np.ndarray:
        """The place of each value in the vocabulary, or -1."""
        if not len(self._sorted):
            return np.full(values.shape, -1)
        nearest = np.minimum(np.searchsorted(self._sorted, values), len(self._sorted) - 1)
        return np.where(self._sorted[nearest] == values, self._order[nearest], -1)


class _Buckets:
    """Puts values into buckets by a hash."""

    def __init__(self, number: int):
        self._number = number

    def find(self, values: np.ndarray) -> np.ndarray:
        """The bucket of each value."""
        if values.dtype == object:
            words = [
                sum(ord(character) * factor for character, factor in zip(text, hashed_ids.COEFFICIENTS, strict=False))
                for text in values.flat
            ]
            values = np.array(words, np.int64).reshape(values.shape)
        return hashed_ids.hashed(values) % self._number


def _ids(item: Mapping[str, Any], raw: Any) -> np.ndarray:
    # As objects, or NumPy would spell the numbers of a mixed list out, and cut NULs off strings before they are seen.
    values = np.asarray(raw, object) if item["dtype"] == "string" else np.asarray(raw)
    _check_rank(item, values)
    if item["dtype"] == "string":
        fits = all(isinstance(value, str) and "\0" not in value for value in values.flat)
    else:
        fits = not values.size or (values.dtype.kind in "iu" and np.can_cast(values.dtype, np.int64))
    if not fits:
        without = ", without NUL characters," * (item["dtype"] == "string")
        raise InputError(f"{item['name']}: values of type {item['dtype']}{without} expected")
    return values.astype(_DTYPES[item["dtype"]])


def _numbers(item: Mapping[str, Any], raw: Any) -> np.ndarray:
    values = np.asarray(raw)
    _check_rank(item, values)
    if values.size and values.dtype.kind not in "fiu":
        raise InputError(f"{item['name']}: numbers expected. Received: {values.dtype}")
    return values.astype(np.float32)


def _check_rank(item: Mapping[str, Any], values: np.ndarray) -> None:
    rank = 2 if item["kind"] == "sequence" else 1
    if values.ndim != rank:
        raise InputError(f"{item['name']}: an array of rank {rank} expected. Received: shape {values.shape}")


def _padded(item: Mapping[str, Any], rows: Any) -> Any:
    """Rows of equal length, at least 1, as ONNX reads a 0 in a shape as an axis to copy."""
    if isinstance(rows, np.ndarray) and rows.shape[1:] != (0,):
        return rows
    if not all(isinstance(row, Sequence | np.ndarray) and not isinstance(row, str) for row in rows):
        raise InputError(f"{item['name']}: a list of values for each row expected")
    length = max((len(row) for row in rows), default=1) or 1
    padded = [[*row, *[item["missing"]] * (length - len(row))] for row in rows]
    return np.asarray(padded, object if item["dtype"] == "string" else None).reshape(len(padded), length)
