"""What an index knows of its items beside their states: categories, prices, bids. Requests filter, cap and rank by it.

An attribute is stored as its distinct values, sorted, and a code for each item. A condition is evaluated on the
values, which are few, and gathered for the items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from prerank.columns import column, lists, to_numpy
from prerank.errors import InputError
from prerank.items import Rows
from prerank.names import name as checked_name
from prerank.values import KINDS, MISSING, MISSING_INTEGER, MISSING_TEXT

AttributeKind = Literal["text", "int", "number"]
_NUMPY: dict[str, Any] = {"text": np.str_, "int": np.int64, "number": np.float32}


@dataclass(frozen=True)
class Attribute:
    """One attribute of N items.

    Attributes:
        kind: what its values are: "text", "int" (int64) or "number" (float32).
        values: (K,) its distinct values, ascending; '' or -1 or NaN stands for a missing one.
        codes: (N,) int32, each item's place in `values`; or (M,) of all items one after another, if items have lists.
        offsets: (N + 1,) int64, where each item's codes begin and end; None if each item has one.
    """

    kind: AttributeKind
    values: np.ndarray
    codes: np.ndarray
    offsets: np.ndarray | None = None

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.codes) if self.offsets is None else len(self.offsets) - 1

    @property
    def missing(self) -> np.ndarray:
        """(K,) bool, which of the values stands for a missing one."""
        if self.kind == "number":
            return np.isnan(self.values)
        return self.values == (MISSING_TEXT if self.kind == "text" else MISSING_INTEGER)

    def codes_of(self, items: np.ndarray) -> list[list[int]]:
        """The codes of some items' values, each once, without a missing one."""
        missing = set(np.flatnonzero(self.missing).tolist())
        if self.offsets is None:
            return [[] if code in missing else [code] for code in self.codes[items].tolist()]
        edges = zip(self.offsets[items].tolist(), self.offsets[items + 1].tolist(), strict=True)
        return [sorted(set(self.codes[start:stop].tolist()) - missing) for start, stop in edges]

    def having(self, wanted: np.ndarray) -> np.ndarray:
        """(N,) bool, which items have a value of those that are True in `wanted` (K,)."""
        found = np.take(wanted, self.codes)
        if self.offsets is None:
            return found
        counts = np.concatenate([[0], np.cumsum(found)])
        return counts[self.offsets[1:]] > counts[self.offsets[:-1]]

    def numbers(self) -> np.ndarray:
        """(K,) float32, the values as numbers, 0 where one is missing."""
        return np.where(self.missing, np.float32(0), self.values.astype(np.float32))

    def take(self, rows: np.ndarray) -> "Attribute":
        """The items (n,) in another order, or some of them."""
        if self.offsets is None:
            return Attribute(self.kind, self.values, np.take(self.codes, rows))
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Attribute(self.kind, self.values, np.take(self.codes, places), offsets)

    def merge(self, other: "Attribute") -> "Attribute":
        """These items and then those of another index, whose attribute is of the same kind."""
        values = _distinct(np.concatenate([self.values, other.values]))[0]
        codes = [np.searchsorted(values, one.values).astype(np.int32)[one.codes] for one in (self, other)]
        joined = np.concatenate(codes)
        if self.offsets is None or other.offsets is None:
            return Attribute(self.kind, values, joined)
        return Attribute(
            self.kind, values, joined, np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        )


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, codes = np.unique(values, return_inverse=True)
    return found, codes.astype(np.int32)


def read_attributes(
    rows: Rows, names: Sequence[str], fields: Sequence[Mapping[str, Any]], path: Path
) -> dict[str, Attribute]:
    """Columns of a catalogue as attributes, by the contract of values.

    Args:
        rows: one for each item.
        names: the columns.
        fields: the model's inputs; a column of that name is read as the model reads it. Others by their Arrow type.
        path: where the rows are from, for messages.

    Raises:
        InputError: a column is missing or holds something else than texts, numbers or lists of them; names it.
    """
    known = {field["name"]: field for field in fields}
    found = {}
    for name in names:
        if name not in rows.column_names:
            raise InputError(f"--attributes: there is no column {name!r}", path=path)
        try:
            checked_name(name)
        except InputError as error:
            raise InputError(f"--attributes: {error}", path=path) from error
        found[name] = _read(rows, name, known.get(name), path)
    return found


def _read(rows: Rows, name: str, field: Mapping[str, Any] | None, path: Path) -> Attribute:
    spelt = next(
        (t for t in (one.schema.field(name).type for _, one in rows.files) if not pa.types.is_null(t)), pa.null()
    )
    of_lists = pa.types.is_nested(spelt) if field is None else field["kind"] == "sequence"
    separator = "" if field is None else field.get("separator", "")
    if field is not None:
        kind: AttributeKind | None = cast(AttributeKind, KINDS[field["dtype"]])
    else:
        kind = _kind_of(spelt.value_type if of_lists and hasattr(spelt, "value_type") else spelt)
    if kind is None:
        message = f"--attributes: {name} has to be texts, numbers or lists of them. Received: {spelt}"
        raise InputError(message, path=path)
    if not of_lists:
        return Attribute(kind, *_distinct(_typed(rows.column(name, lambda values: column(values, kind)), kind)))
    found = rows.column(name, lambda values: lists(values, kind, separator))
    offsets = np.concatenate([[0], np.cumsum(np.asarray(found.value_lengths().fill_null(0)), dtype=np.int64)])
    return Attribute(kind, *_distinct(_typed(found.flatten(), kind)), offsets)


def _typed(found: pa.Array, kind: AttributeKind) -> np.ndarray:
    values = to_numpy(found, kind)
    return values.astype(_NUMPY[kind]) if len(values) else np.array([MISSING[kind]], _NUMPY[kind])[:0]


def _kind_of(kind: pa.DataType) -> AttributeKind | None:
    if pa.types.is_dictionary(kind):
        return _kind_of(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "int"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return "text" if any(test(kind) for test in texts) else None
