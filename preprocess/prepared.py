"""A prepared data set on disk, as the input pipeline, the exporter and the metrics read it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NotRequired, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field as Option
from pydantic import with_config
from typing_extensions import TypedDict

from features import RESERVED, FeatureSpec, Field
from preprocess.splits import PARTS
from prerank import reading
from prerank.errors import InputError
from prerank.names import name

FORMAT_VERSION = 3
"""Changes whenever what is written changes, so that nothing written by older code is read."""
MANIFEST = "manifest.json"


@with_config(reading.RECORD)
class LabelRows(TypedDict):
    """How many rows of a part have one of several labels."""

    labelled: Annotated[int, Option(ge=0)]
    positives: Annotated[int, Option(ge=0)]


@with_config(reading.RECORD)
class PartRows(TypedDict):
    """How many rows a part has."""

    rows: Annotated[int, Option(ge=0)]
    positives: Annotated[int, Option(ge=0)]
    labelled: NotRequired[Annotated[int, Option(ge=0)]]
    labels: NotRequired[dict[reading.Name, LabelRows]]


class Parts(TypedDict):
    """Every part."""

    train: PartRows
    validation: PartRows
    test: PartRows


@with_config(reading.RECORD)
class Manifest(TypedDict):
    """What `manifest.json` holds, with a :class:`features.FeatureSpec` as `spec`."""

    format_version: int
    fingerprint: reading.Name
    notes: list[str]
    spec: dict[str, Any]
    training_mean_label: float | None
    parts: Parts
    out_of_vocabulary: dict[reading.Name, float | None]


@dataclass(frozen=True)
class PreparedData:
    """A folder with `manifest.json`, `vocabularies/`, `train/`, `validation/`, `test/` and `catalogue.parquet`.

    The files of a part have one column for each field of the spec (sparse: int32 index; sequence: list
    of int32 indices, oldest first, not padded; dense: float64 in raw units), and `label` int8, `group` and
    `item_group` int32 (number of the distinct user and item, from 0), `row` int64 (0-based data line of the raw file),
    `timestamp` int64. Where a field has one of these names, the column has an underscore before it
    (:meth:`features.FeatureSpec.beside`). Training rows are in random order, the others in that of the raw file.

    Further columns, as the spec's `row_columns` say: `request` int32 (number of the distinct request, from 0), `stage`
    int8 (the larger, the longer the row stayed in the cascade), `weight` float32 (1 where it is missing), `teacher`
    float32 (NaN where it is missing). All rows of a request are in one part. Those of a training request lie one after
    another in one file. A row without a label has the label :data:`features.UNLABELLED`.
    Where the spec has several `labels`, the first is `label`, and each other has a column `label_<name>`, int8.

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
        manifest = _read_manifest(path / MANIFEST)
        prepared = cls(path, _spec(manifest["spec"], path / MANIFEST), manifest)
        prepared._check_rows()
        return prepared

    def _check_rows(self) -> None:
        for part in PARTS:
            if strange := [file for file in self.parts(part) if not file.is_file()]:
                raise InputError("not a regular file", path=strange[0])
            try:
                found = sum(pq.read_metadata(file).num_rows for file in self.parts(part))
            except (OSError, pa.ArrowException) as error:
                raise InputError(f"damaged ({error})", path=self.path / part) from error
            if found != self.rows(part):
                raise InputError(f"{self.rows(part)} rows expected. Received: {found}", path=self.path / part)

    @property
    def fingerprint(self) -> str:
        """Hash of the raw files' bytes, the resolved options and the format version."""
        return self.manifest["fingerprint"]

    @property
    def raw_data(self) -> str:
        """Hash of the raw files' names and bytes: the same for all that was prepared from them, by whatever options."""
        described = json.dumps(self.manifest["raw_files"], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]

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

    def labelled(self, part: str) -> int:
        """Number of rows of a part that have a label."""
        counts = self.manifest["parts"][_known(part)]
        return counts.get("labelled", counts["rows"])

    def vocabulary(self, name: str) -> np.ndarray:
        """The raw values with the indices `RESERVED`, `RESERVED` + 1, ...: int64, or object holding str.

        Of hashed fields the smallest value of each bucket that occurs in the data; -1 or '' for a bucket without one.
        """
        return self._vocabularies[name]

    @cached_property
    def _vocabularies(self) -> dict[str, np.ndarray]:
        files = (self.path / "vocabularies").glob("*.parquet")
        return {file.stem: _values(pq.read_table(file)["value"]) for file in files}


def _read_manifest(path: Path) -> dict[str, Any]:
    most = reading.MOST_BYTES_OF_FIELDS
    found = reading.read_json(path, most=most)
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"format version {FORMAT_VERSION} expected. Received: {version!r}", path=path)
    return cast(dict[str, Any], reading.read_record(path, Manifest, most=most))


def _spec(values: dict[str, Any], path: Path) -> FeatureSpec:
    """The specification, whose names and tables can be what they say."""
    try:
        spec = FeatureSpec.from_dict(values)
        for text in (spec.dataset, *(field.name for field in spec.fields), *spec.tables):
            name(text)
        for field in spec.fields:
            _check_field(field)
    except InputError as error:
        raise InputError(f"damaged: spec: {error}", path=path) from error
    return spec


def _check_field(field: Field) -> None:
    if (field.kind == "dense") != (field.raw_type == "float32"):
        raise InputError(f"{field.name}: {field.raw_type} does not fit {field.kind}")
    if field.kind == "dense":
        if field.scale == 0:
            raise InputError(f"{field.name}: scale is 0")
    elif not field.vocabulary or not RESERVED <= field.vocabulary_size < 2**31:
        raise InputError(f"{field.name}: no vocabulary, or of {field.vocabulary_size} rows")
    elif not 0 <= field.hash_buckets < 2**31 or not 0 <= field.max_length < 2**31:
        raise InputError(f"{field.name}: {field.hash_buckets} hash buckets, a length of {field.max_length}")


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if not column.null_count:
        return column.to_numpy()
    return column.fill_null("" if pa.types.is_string(column.type) else -1).to_numpy()


def _known(part: str) -> str:
    if part not in PARTS:
        raise ValueError(f"a part is one of {', '.join(PARTS)}. Received: {part}")
    return part
