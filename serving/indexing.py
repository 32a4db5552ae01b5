"""Raw values to the inputs of an exported ONNX model, outside of its graph.

Needs NumPy, `errors.py` and `hashed_ids.py` alone: the three files can be copied to where the model is served.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hashed_ids
from errors import InputError

_FEATURES = "features.json"
_VOCABULARIES = "vocabularies.json"
_DTYPES: dict[str, type] = {"int64": np.int64, "string": object}


class Indexer:
    """Looks up the vocabularies of an ONNX export and scales its numbers, as a SavedModel does in its graph.

    Args:
        folder: the export, for its `features.json` and `vocabularies.json`.

    Raises:
        InputError: a file cannot be read or is damaged, or the export is no ONNX.
    """

    def __init__(self, folder: Path):
        described, vocabularies = _read(folder / _FEATURES), _read(folder / _VOCABULARIES)
        try:
            if described["format"] != "onnx":
                raise InputError("an export in the format onnx expected", path=folder)
            self._inputs: dict[str, dict[str, Any]] = {item["name"]: item for item in described["inputs"]}
            self._reserved: dict[str, int] = described["reserved"]
            self._vocabularies: dict[str, _Vocabulary | _Buckets] = {}
            for item in self._inputs.values():
                if item["kind"] == "dense":
                    continue
                if "hash_buckets" in item:
                    self._vocabularies[item["vocabulary"]] = _Buckets(item["hash_buckets"])
                    continue
                values = vocabularies[item["vocabulary"]]
                if len(values) + self._reserved["first"] != item["vocabulary_size"]:
                    raise ValueError(f"the vocabulary {item['vocabulary']} has {len(values)} values")
                self._vocabularies[item["vocabulary"]] = _Vocabulary(np.asarray(values, _DTYPES[item["dtype"]]))
        except (KeyError, TypeError, OverflowError) as error:
            raise InputError(f"{_FEATURES} or {_VOCABULARIES} is damaged: {error!r}", path=folder) from error
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{_FEATURES} and {_VOCABULARIES} do not fit: {error}", path=folder) from error

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
    # As objects, or NumPy would spell the numbers of a mixed list out, and cut NULs off strings.
    values = np.asarray(raw, object) if item["dtype"] == "string" else np.asarray(raw)
    _check_rank(item, values)
    if item["dtype"] == "string":
        fits = all(isinstance(value, str) for value in values.flat)
    else:
        fits = not values.size or (values.dtype.kind in "iu" and np.can_cast(values.dtype, np.int64))
    if not fits:
        raise InputError(f"{item['name']}: values of type {item['dtype']} expected")
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


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path) from error
