"""What a data set hands to the shared preparation: an :class:`Adapter` and the tables that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ibis.expr.types as ir

from features import FeatureSpec
from preprocess.engine import DuckDBEngine
from preprocess.raw import RawFile


@dataclass(frozen=True)
class RawData:
    """The labelled rows of a data set and what is known of their users and items, in raw spelling.

    Attributes:
        rows: one line a labelled row: the columns `row` (int64, 0-based data line of the raw file),
            `timestamp` (int64 seconds), `label` (0 or 1), and the user's and the item's id under the
            names that `spec` gives them.
        users: one line a user: its id and a column for each sparse field of the user side.
        items: one line an item: its id and a column for each sparse or sequence field of the item side.
        spec: the fields and their roles. Vocabulary sizes, means and scales are not filled in yet.
    """

    rows: ir.Table
    users: ir.Table
    items: ir.Table
    spec: FeatureSpec


class Adapter(Protocol):
    """Reads the raw layouts of one data set. Knows nothing of splits, states, leaks and vocabularies."""

    @property
    def name(self) -> str:
        """Name of the data set: snake_case, also its folder's name."""

    def find(self, data_path: Path) -> Mapping[str, Path]:
        """The raw files by role.

        Raises:
            InputError: they are not there; says which were expected.
        """

    def read(self, engine: DuckDBEngine, files: Mapping[str, RawFile]) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line is wrong, with its number.
        """
