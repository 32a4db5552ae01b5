"""Raw values to the inputs of an exported ONNX model, outside of its graph.

Needs NumPy, pyarrow and pydantic only.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from pydantic import FailFast, Field, with_config
from typing_extensions import TypedDict

from prerank import description, hashed_ids, reading
from prerank.arrays import array, elements, is_array
from prerank.description import Count, Digest, Separator
from prerank.errors import InputError
from prerank.layout import FEATURES, VOCABULARIES
from prerank.reading import RECORD, Name
from prerank.values import KINDS, Kind, WrongValueError, short

_DTYPES: dict[str, type] = {"int64": np.int64, "string": object}
_SPELT = {"int64": int, "string": str}
_MOST_BYTES = 2 << 30
_Index = Annotated[int, Field(ge=0, lt=2**31)]
_Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


@with_config(RECORD)
class EncodedInput(TypedDict):
    """An input, as far as encoding it goes."""

    name: Name
    kind: Literal["sparse", "sequence", "dense"]
    dtype: Literal["int64", "string", "float32"]
    missing: _Integer | str
    argument: NotRequired[Name]
    vocabulary: NotRequired[str]
    vocabulary_size: NotRequired[Count]
    hash_buckets: NotRequired[Annotated[int, Field(gt=0, le=2**31)]]
    limit: NotRequired[Annotated[int, Field(gt=0, le=2**31)]]
    separator: NotRequired[Separator]
    default: NotRequired[float | list[Any]]
    mean: NotRequired[float]
    scale: NotRequired[float]


@with_config(RECORD)
class Reserved(TypedDict):
    """The indices that no vocabulary has."""

    missing: _Index
    unseen: _Index
    first: _Index


@with_config(RECORD)
class Together(TypedDict):
    """The sequences that go together, element by element."""

    behaviours: list[Name]


@with_config(RECORD)
class Encoding(TypedDict):
    """The part of `features.json` that encoding needs."""

    format: str
    inputs: Annotated[list[EncodedInput], FailFast()]
    specification: Together
    reserved: NotRequired[Reserved]
    sha256: NotRequired[Digest]


class Indexer:
    """Looks up the vocabularies of an ONNX export and scales its numbers, as a SavedModel does in its graph.

    Args:
        folder: the export, for its `features.json` and `vocabularies.json`.

    Attributes:
        arguments: by input name what the ONNX files call it: another name where an output or TensorFlow has that one.

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
        self.arguments = {name: item.get("argument", name) for name, item in self._inputs.items()}
        self._reserved: dict[str, int] = described["reserved"]
        self._aligned = tuple(described["specification"]["behaviours"])
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
        """What the model takes for raw values, by the contract of values.

        Args:
            raw: by input name, for the inputs wanted, raw values: (B,), or (B, L) for a sequence, padded on the right.
                Its rows may be lists of different lengths too. Of a sequence with a limit the last values count.

        Returns:
            By what the ONNX files call the input, see `arguments`: int32 indices (B,) or (B, L), scaled float32 numbers
            (B,). L is at least 1: the model does not take sequences of no length, for all that it takes empty ones.

        Raises:
            InputError: the model has no such input, or a value is wrong.
        """
        if unknown := sorted(set(raw) - set(self._inputs)):
            raise InputError(f"there is no input {', '.join(unknown)}, only {', '.join(self._inputs)}")
        values = {name: _read_values(self._inputs[name], given) for name, given in raw.items()}
        limits = {name: item["limit"] for name, item in self._inputs.items() if "limit" in item and name in values}
        values |= last_values({name: values[name] for name in limits}, limits, self._aligned, self._missing)
        return {self.arguments[name]: self._encode(self._inputs[name], found) for name, found in values.items()}

    def unseen(self, name: str, raw: Any) -> np.ndarray:
        """Which values of an input are out of its vocabulary, (B,) or (B, L) bool; no number and no hashed id is."""
        item = self._inputs[name]
        if item["kind"] == "dense" or "hash_buckets" in item:
            return np.zeros(np.shape(raw), bool)
        return self.encode({name: raw})[self.arguments[name]] == self._reserved["unseen"]

    def _missing(self, name: str) -> Any:
        return self._inputs[name]["missing"]

    def _encode(self, item: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
        if item["kind"] == "dense":
            # Training rounds to 32 bits and then scales in 64: the same here, to the last bit.
            values = np.where(np.isnan(values), item["default"], values).astype(np.float32).astype(np.float64)
            return ((values - item["mean"]) / item["scale"]).astype(np.float32)
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


def _read_values(item: Mapping[str, Any], raw: Any) -> np.ndarray:
    """Raw values of an input as its type's, (B,) or (B, L)."""
    kind = KINDS[item["dtype"]]
    if item["kind"] == "sequence":
        return _read_rows(item, raw, kind)
    if not is_array(raw):
        raise InputError(f"{item['name']} has to be an array of rank 1. Received: {_seen(raw)}")
    try:
        return array(raw, kind)
    except WrongValueError as error:
        raise _error(item, error.place, error) from error


def _read_rows(item: Mapping[str, Any], raw: Any, kind: Kind) -> np.ndarray:
    """Sequences as rows of equal length, at least 1, as ONNX reads a 0 in a shape as an axis to copy."""
    if isinstance(raw, np.ndarray) and raw.ndim == 2 and raw.shape[1]:
        try:
            return array(raw.reshape(-1), kind).reshape(raw.shape)
        except WrongValueError as error:
            raise _error(item, (error.place or 0) // raw.shape[1], error) from error
    if not isinstance(raw, np.ndarray) and not is_array(raw):
        raise InputError(f"{item['name']} has to be an array of rank 2, or a list of lists. Received: {_seen(raw)}")
    rows = []
    for number, row in enumerate(raw):
        try:
            rows.append(elements(row, kind, item.get("limit", 0), item.get("separator", "")))
        except WrongValueError as error:
            raise _error(item, number, error) from error
    length = max(map(len, rows), default=1) or 1
    padded: np.ndarray = np.full((len(rows), length), item["missing"], _DTYPES[item["dtype"]])
    for row, values in enumerate(rows):
        padded[row, : len(values)] = values
    return padded


def _seen(raw: Any) -> str:
    return f"shape {raw.shape}" if hasattr(raw, "shape") else short(raw)


def _error(item: Mapping[str, Any], row: int | None, error: WrongValueError) -> InputError:
    where = "" if row is None else f", row {row + 1}"
    return InputError(f"{item['name']}{where} has to be {error.expected}. Received: {short(error.value)}")


def last_values(
    values: Mapping[str, np.ndarray],
    limits: Mapping[str, int],
    aligned: Collection[str],
    missing: Callable[[str], Any],
) -> dict[str, np.ndarray]:
    """The last values of sequences, as many as each one's limit; exported graphs do the same.

    Args:
        values: by name, (B, L), padded on the right.
        limits: by name, how many.
        aligned: those that go together, element by element: the longest of a row is the length of all.
        missing: what a sequence of this name is padded with.

    Returns:
        By name, (B, at most the limit), padded on the right.
    """
    lengths = {name: _lengths(found, missing(name)) for name, found in values.items()}
    together = [name for name in values if name in aligned]
    if together:
        lengths |= dict.fromkeys(together, np.max([lengths[name] for name in together], axis=0))
    found = {}
    for name, given in values.items():
        size = max(given.shape[1], int(lengths[name].max(initial=0)))
        if size <= limits[name]:
            found[name] = given
            continue
        padding = np.full((len(given), size - given.shape[1]), missing(name), given.dtype)
        starts = np.maximum(lengths[name] - limits[name], 0)
        places = starts[:, np.newaxis] + np.arange(limits[name])
        found[name] = np.take_along_axis(np.concatenate([given, padding], axis=1), places, axis=1)
    return found


def _lengths(values: np.ndarray, missing: Any) -> np.ndarray:
    return np.max((values != missing) * np.arange(1, values.shape[1] + 1), axis=1, initial=0)
