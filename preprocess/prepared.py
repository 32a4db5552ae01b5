"""A prepared data set on disk, as the input pipeline, the exporter and the metrics read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import FeatureSpec
from preprocess.splits import PARTS
from prerank.errors import InputError

FORMAT_VERSION = 3
"""Changes whenever what is written changes, so that nothing written by older code is read."""
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class PreparedData:
    """A folder with `manifest.json`, `vocabularies/`, `train/`, `validation/`, `test/` and `catalogue.parquet`.

    The files of a part have one column for each field of the spec (sparse: int32 index; sequence: list
    of int32 indices, oldest first, not padded; dense: float64 in raw units), and `label` int8, `group` and
    `item_group` int32 (number of the distinct user and item, from 0), `row` int64 (0-based data line of the raw file),
    `timestamp` int64. Where a field has one of these names, the column has an underscore before it
    (:meth:`features.FeatureSpec.beside`). Training rows are in random order, the others in that of the raw file.

    Attributes:
        path: the folder.
        spec: the fields, complete.
        manifest: what `manifest.json` holds.
    """

    path: Path
    spec: FeatureSpec
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> PreparedData:
        """Open a finished folder.

        Raises:
            InputError: there is none, it is of another format version, or files are missing or damaged.
        """
        try:
            manifest = json.loads((path / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"not a prepared data set ({error})", path=path) from error
        if manifest.get("format_version") != FORMAT_VERSION:
            message = f"format version {FORMAT_VERSION} expected. Received: {manifest.get('format_version')}"
            raise InputError(message, path=path / MANIFEST)
        prepared = cls(path, FeatureSpec.from_dict(manifest["spec"]), manifest)
        prepared._check_rows()
        return prepared

    def _check_rows(self) -> None:
        for part in PARTS:
            try:
                found = sum(pq.read_metadata(file).num_rows for file in self.parts(part))
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(f"damaged ({error})", path=self.path / part) from error
            if found != self.rows(part):
                raise InputError(f"{self.rows(part)} rows expected. Received: {found}", path=self.path / part)

    @property
    def fingerprint(self) -> str:
        """Hash of the raw files' bytes, the resolved options and the format version."""
        return self.manifest["fingerprint"]

    @property
    def catalogue(self) -> Path:
        """Every item in raw spelling with its current mean label."""
        return self.path / "catalogue.parquet"

    def parts(self, part: str) -> list[Path]:
        """The files of "train", "validation" or "test", in order."""
        return sorted((self.path / _known(part)).glob("part-*.parquet"))

    def rows(self, part: str) -> int:
        """Number of rows of "train", "validation" or "test"."""
        return self.manifest["parts"][_known(part)]["rows"]

    def vocabulary(self, name: str) -> np.ndarray:
        """The raw values with the indices `RESERVED`, `RESERVED` + 1, ...: int64, or object holding str.

        Of hashed fields the smallest value of each bucket that occurs in the data; -1 or '' for a bucket without one.
        """
        return self._vocabularies[name]

    @cached_property
    def _vocabularies(self) -> dict[str, np.ndarray]:
        files = (self.path / "vocabularies").glob("*.parquet")
        return {file.stem: _values(pq.read_table(file)["value"]) for file in files}


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if not column.null_count:
        return column.to_numpy()
    return column.fill_null("" if pa.types.is_string(column.type) else -1).to_numpy()


def _known(part: str) -> str:
    if part not in PARTS:
        raise ValueError(f"a part is one of {', '.join(PARTS)}. Received: {part}")
    return part
