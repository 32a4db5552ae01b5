"""The feature specification: the one thing that data preparation and models share.

A data set yields one :class:`FeatureSpec`; a model is built from it and never names a column of a
data set. Embedding tables reserve two rows, the same in every table: :data:`MISSING` (also the padding
of sequences) and :data:`UNSEEN`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

Side = Literal["user", "item"]
Kind = Literal["sparse", "sequence", "dense"]
RawType = Literal["int64", "string", "float32"]
RowColumn = Literal["request", "stage", "weight", "teacher"]

MISSING = 0
"""Index of a missing value (see :mod:`prerank.values`), and the padding of sequences."""
UNSEEN = 1
"""Index of a value that is not in the vocabulary."""
RESERVED = 2
"""Index of a vocabulary's first value, or of a hashed field's first bucket."""
UNLABELLED = -1
"""The label, in prepared data, of a row without one: a candidate of whom nobody knows whether it is a positive."""
ROW_COLUMNS: tuple[RowColumn, ...] = get_args(RowColumn)
"""What the rows of a data set may carry beside fields and label, in the order in which it is written."""
_CHECKED: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False}
"""How values that are read are checked."""


@dataclass(frozen=True)
class Field:
    """One feature of one side.

    Attributes:
        name: snake_case name of the Parquet column and of the exported model's input.
        side: "user" (also what is known with the request) or "item".
        kind: "sparse" one id a row, "sequence" up to `max_length` ids a row, right-padded, "dense" one number a row.
        raw_type: type of a value as the raw files spell it.
        vocabulary: name of the vocabulary and embedding table; fields with the same name share both. Empty if dense.
        vocabulary_size: rows of that table, the two reserved ones included. 0 if dense.
        max_length: most ids a row has, sequences only.
        hash_buckets: if not 0, a value's index is RESERVED + its hash modulo this, and there is no vocabulary.
        default: what a missing dense value counts as, in raw units.
        mean, scale: a dense value enters a model as `(value - mean) / scale`.
        limit: how many ids of a sequence a model sees, the last ones; 0 for all.
        separator: stands between the ids of a sequence that is spelt as one text; empty if only lists are sequences.
    """

    __pydantic_config__: ClassVar = _CHECKED

    name: str
    side: Side
    kind: Kind
    raw_type: RawType
    vocabulary: str = ""
    vocabulary_size: int = 0
    max_length: int = 0
    hash_buckets: int = 0
    default: float = 0.0
    mean: float = 0.0
    scale: float = 1.0
    limit: int = 0
    separator: str = ""


@dataclass(frozen=True)
class FeatureSpec:
    """What a data set gives a model: its fields, and the roles that some of them play.

    Attributes:
        dataset: name of the data set.
        fields: every field, user side and item side.
        user_id, item_id: names of the two id fields.
        user_static, item_static: names of the fields that do not change from row to row of a user
            or item; inputs of HIT's generators.
        history: name of the user's main behaviour sequence, or None.
        behaviours: names of the user's sequences that come from a log of behaviours, element by element of the same
            behaviour. If `history` is none of them, nor of `context`, it holds the user's earlier positives.
        context: names of the fields that belong to a row itself, the request, and not to its user or item.
        category: name of the item's category field, or None.
        user_mean, item_mean: names of the dense fields with the mean label of the user and of the item, or None;
            every other dense field is a number of the raw data.
        label: name of the label column.
        labels: names of the labels, where the data have several; the first is what means and histories are made of.
        row_columns: what the rows carry beside fields and label, under the names that :meth:`beside` gives. "request":
            the list that a row belongs to; "stage": how far it got in the cascade; "weight": how much it counts;
            "teacher": the logit that a ranker gave it.
        privileged: names of fields that only a teacher may see.
    """

    __pydantic_config__: ClassVar = _CHECKED

    dataset: str
    fields: tuple[Field, ...]
    user_id: str
    item_id: str
    user_static: tuple[str, ...]
    item_static: tuple[str, ...]
    history: str | None = None
    behaviours: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    category: str | None = None
    user_mean: str | None = None
    item_mean: str | None = None
    label: str = "label"
    row_columns: tuple[RowColumn, ...] = ()
    privileged: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"field names must differ. Received: {names}")
        roles: dict[Side, tuple[str | None, ...]] = {
            "user": (self.user_id, *self.user_static, self.history, self.user_mean, *self.behaviours),
            "item": (self.item_id, *self.item_static, self.category, self.item_mean),
        }
        for side, named in roles.items():
            fields = [field.name for field in self.side(side)]
            if unknown := [name for name in named if name is not None and name not in fields]:
                raise ValueError(f"these roles name no {side} field: {unknown}. Fields: {fields}")
        for role in ("context", "privileged"):
            if unknown := [name for name in getattr(self, role) if name not in names]:
                raise ValueError(f"{role} names no field: {unknown}. Fields: {names}")
        if ids := [name for name in (self.user_id, self.item_id) if name in self.privileged]:
            raise ValueError(f"an id cannot be privileged: {ids[0]}")

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def side(self, side: Side) -> tuple[Field, ...]:
        """The fields of one side, in order."""
        return tuple(field for field in self.fields if field.side == side)

    def beside(self, name: str) -> str:
        """Name of a column beside the fields: `name`, or `_name` where a field has it; no field's begins so."""
        return f"_{name}" if any(field.name == name for field in self.fields) else name

    def label_of(self, task: str) -> str:
        """Name of the column with one of several labels."""
        return self.beside("label" if task == self.labels[0] else f"label_{task}")

    @property
    def first_label(self) -> str:
        """Name of the label that means and histories are made of, whichever is learned."""
        return self.label_of(self.labels[0]) if self.labels else self.label

    @property
    def liked(self) -> str | None:
        """Name of the history if it is made of earlier positives, or None."""
        return None if self.history in (*self.behaviours, *self.context) else self.history

    def table_fields(self, side: Side) -> tuple[Field, ...]:
        """The fields of one side whose values belong to the user or the item, and not to a row, in order."""
        others = {*self.context, *self.behaviours, self.liked, self.user_mean, self.item_mean}
        return tuple(field for field in self.side(side) if field.name not in others)

    @property
    def tables(self) -> dict[str, int]:
        """Rows of every embedding table, by vocabulary name."""
        return {field.vocabulary: field.vocabulary_size for field in self.fields if field.vocabulary}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, read back by :meth:`from_dict`; without what came later and is not used."""
        values = dataclasses.asdict(self)
        for field in values["fields"]:
            if not field["separator"]:
                del field["separator"]
        later = ("row_columns", "privileged", "labels")
        return {name: value for name, value in values.items() if value or name not in later}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FeatureSpec:
        """Inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
            InputError: a value is missing, unknown or of another type; names it.
        """
        from prerank.reading import check  # the specification itself needs the standard library only

        return check(json.dumps(values), cls)
