"""Records of judged pre-rankers on disk: a folder each, with `cascade.json` and a line for each request and quota.

    OUT/cascade/records/<data set>/<protocol>/<pre-ranker>-<digest>/
        cascade.json        what was judged, means and intervals
        requests.parquet    the values behind them, float32

The digest is of all that the record depends on, so that a record on disk need not be made again.
"""

import hashlib
import io
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, with_config
from typing_extensions import TypedDict

from experiments.cascade.intervals import Estimate, Users
from experiments.cascade.metrics import Table
from prerank import folders
from prerank.errors import InputError
from prerank.reading import RECORD, Name, read_record
from training.records import Count, Measured
from training.run_folder import to_json

FORMAT = 1
"""Changes whenever the values of a record would change."""
FOLDER, JSON, PARQUET = "cascade", "cascade.json", "requests.parquet"
_RECORDS = "records"
_USER, _QUOTA = "user", "quota"
_Positive = Annotated[int, Field(ge=1)]


@with_config(RECORD)
class StageRecord(TypedDict):
    """A stage: a run, or an end of the scale, which has no run."""

    name: Annotated[str, Field(max_length=1000)]
    model: Name | None
    run: Name | None
    seed: Count | None


@with_config(RECORD)
class EstimateRecord(TypedDict):
    """As :class:`experiments.cascade.intervals.Estimate`."""

    mean: Measured
    low: Measured
    high: Measured
    requests: Count


@with_config(RECORD)
class QuotaRecord(TypedDict):
    """The metrics at a quota."""

    quota: _Positive
    metrics: dict[str, EstimateRecord]


@with_config(RECORD)
class Milliseconds(TypedDict):
    """Median milliseconds a request.

    Attributes:
        preranking: of scoring the pool and choosing the largest quota; null where nothing is scored.
        user_state: of the pre-ranker's user tower, which is not in `preranking`; null where there is none.
        ranking: of the ranker for as many items as each quota, in the order of the quotas.
        ranking_pool: of the ranker for the whole pool.
    """

    preranking: Measured
    user_state: Measured
    ranking: list[Measured]
    ranking_pool: Measured


@with_config(RECORD)
class CascadeRecord(TypedDict):
    """What `cascade.json` holds.

    Attributes:
        end: whether the pre-ranker is an end of the scale.
        results: a digest of the result of each stage's run, by which a run trained anew is known.
        pool: how many items retrieval passes on.
        asked_quotas: the quotas of the command; `quotas` are those of this record, the size of the catalogue if there
            is no pre-ranking.
        pcoc: predicted over observed positives of the part's labelled rows; null for an end of the scale.
    """

    format: Literal[1]
    dataset: Name
    protocol: Name
    setting: Annotated[str, Field(max_length=1000)]
    data_fingerprint: Name
    part: Literal["validation", "test"]
    end: bool
    retrieval: StageRecord
    preranker: StageRecord
    ranker: StageRecord
    results: dict[str, Name]
    pool: _Positive
    asked_quotas: Annotated[list[_Positive], Field(min_length=1)]
    quotas: Annotated[list[_Positive], Field(min_length=1)]
    asked_requests: _Positive
    requests: Count
    users: Count
    requests_with_positives: Count
    items: Count
    unseen_items: Count
    pcoc: Measured
    milliseconds: Milliseconds
    values: list[QuotaRecord]


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        folder: where it lies.
        fields: what `cascade.json` holds, of the type :class:`CascadeRecord`.
    """

    folder: Path
    fields: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read a record.

        Raises:
            InputError: it is damaged.
        """
        return cls(folder, cast(dict[str, Any], read_record(folder / JSON, CascadeRecord)))

    @cached_property
    def requests(self) -> tuple[np.ndarray, Table]:
        """The user (R,) of each request, and the metrics (R, quotas) by name.

        Raises:
            InputError: the file is damaged, or is not of as many requests and of the quotas that the record names.
        """
        path = self.folder / PARQUET
        try:
            table = pq.read_table(path)
            columns = {name: table[name].to_numpy() for name in table.column_names}
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"damaged: {error}", path=path) from error
        quotas = self.fields["quotas"]
        shape = (self.fields["requests"], len(quotas))
        expected = np.tile(quotas, shape[0])
        if not (_USER in columns and _QUOTA in columns and np.array_equal(columns.pop(_QUOTA), expected)):
            raise InputError(f"a line for each of {shape[0]} requests and {shape[1]} quotas expected", path=path)
        users = columns.pop(_USER).reshape(shape)[:, 0]
        return users, {name: values.astype(np.float64).reshape(shape) for name, values in columns.items()}

    @property
    def line(self) -> tuple[Any, ...]:
        """What records have to share to be comparable, but for the seeds of their stages."""
        found = self.fields
        names = [found[stage]["name"] for stage in ("retrieval", "ranker")]
        asked = [found[name] for name in ("dataset", "setting", "data_fingerprint", "part", "asked_requests", "pool")]
        return (*asked, *names, tuple(found["asked_quotas"]))


def place(out: Path, identity: Mapping[str, Any], name: str) -> Path:
    """The folder of a record: `identity` is what it depends on, `name` the pre-ranker's model or end of the scale."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **identity}, sort_keys=True).encode()).hexdigest()
    return out / FOLDER / _RECORDS / identity["dataset"] / identity["protocol"] / f"{name}-{digest[:12]}"


def write(folder: Path, fields: Mapping[str, Any], groups: np.ndarray, users: Users, values: Table) -> None:
    """Write a record, whole or not at all.

    Args:
        folder: its place.
        fields: the fields of :class:`CascadeRecord` but `format` and `values`.
        groups: the user of each request. Shape (R,).
        users: the bootstrap over them.
        values: the metrics (R, quotas) by name.
    """
    quotas, names = fields["quotas"], list(values)
    rows = []
    for number, quota in enumerate(quotas):
        found = users.means(np.stack([values[name][:, number] for name in names], axis=1))
        rows.append({"quota": quota, "metrics": {name: _plain(one) for name, one in zip(names, found, strict=True)}})
    columns = {_USER: np.repeat(groups, len(quotas)), _QUOTA: np.tile(quotas, len(groups))}
    columns |= {name: column.reshape(-1).astype(np.float32) for name, column in values.items()}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")  # small enough to be committed
    with folders.holding(folder, print), folders.replacing(folder) as new:
        folders.write_bytes(new / PARQUET, file.getvalue())
        folders.write_text(new / JSON, to_json({"format": FORMAT, **fields, "values": rows}))


def _plain(found: Estimate) -> dict[str, Any]:
    """As :class:`EstimateRecord`: null where there is no number."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(found).items()}


def exists(folder: Path, results: Mapping[str, str]) -> bool:
    """Whether a record of these results is there, whole; what a killed writer left is put right first.

    Raises:
        InputError: it is damaged.
    """
    folders.recover(folder)
    return (folder / JSON).is_file() and Record.read(folder).fields["results"] == results


def read_all(out: Path) -> list[Record]:
    """Every record below a folder of results.

    Raises:
        InputError: one is damaged.
    """
    place = out / FOLDER / _RECORDS
    folders.recover_below(place, "*/*/*")
    files = sorted(place.glob(f"*/*/*/{JSON}"))
    return [Record.read(file.parent) for file in files if folders.is_whole(file.parent)]


def copy_all(out: Path, target: Path) -> int:
    """Copy every record of a folder of results to another, in the stead of what is there; returns how many there are.

    Raises:
        InputError: one is damaged; then nothing is copied.
    """
    found = read_all(out)
    for record in found:
        _ = record.requests
    for record in found:
        place = target / record.folder.relative_to(out)
        with folders.holding(place, print), folders.replacing(place) as new:
            for name in (JSON, PARQUET):
                shutil.copyfile(record.folder / name, new / name)
    return len(found)
