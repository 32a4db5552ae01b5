"""What can be asked of the data preparation, and how the protocols fill in what was not said."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field, model_validator

from preprocess.addresses import Location
from preprocess.engines import Engine, EngineName, EngineOptions, engine_class
from prerank.options import Options

if TYPE_CHECKING:
    from preprocess.dataset import Adapter

Protocol = Literal["strict", "reference"]
Split = Literal["time", "random", "user_time", "none"]
State = Literal["online", "frozen"]
Leak = Literal["target_mean", "history", "user_filter", "encoders", "scaler"]
LEAKS: tuple[Leak, ...] = get_args(Leak)
DEFAULT_SHARE = 0.1
"""Share of the rows that is tested on, and that is validated on, where neither an option nor whole days say so."""

_ADDED: dict[str, Any] = {
    "negatives": 0, "min_count": 1, "hash_buckets": 0, "calibrate": "none", "init_from": None,
    "test_share": None, "validation_share": None, "test_from": None, "fit_all": None,
    # of hit; and of fit, whose scorers have other names
    "scorer": "max_sim", "mixture_hidden": 128, "mixture_temperature": 0.0, "mixture_dropout": 0.2,
    "mixture_balance": 0.001,
    # of youtube_dnn and mind
    "negatives_from": "catalogue", "correction": "log_q",
}  # fmt: skip


def without_added(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, less those that came later and are not used, so that old fingerprints stay valid."""
    return {name: value for name, value in options.items() if name not in _ADDED or value != _ADDED[name]}


@dataclass(frozen=True)
class ResolvedOptions:
    """Options with every default of the protocol filled in: what a prepared data set depends on.

    Attributes:
        protocol, split, state: as in :class:`DataOptions`.
        leaks: the leaks that are on, in the order of :data:`LEAKS`.
        max_history: most ids a history keeps.
        sample_rate: share of the users kept.
        negatives: rows with label 0 that are sampled for each positive.
        min_count: fewest training rows of a value of a vocabulary.
        hash_buckets: most values of a vocabulary, and the buckets of a field that has more; 0 for no limit.
        test_share, validation_share: shares of the rows; None for those of the protocol.
        test_from: ISO date of the first day of the test part; None for a share.
    """

    protocol: Protocol
    split: Split
    state: State
    leaks: tuple[Leak, ...]
    max_history: int
    sample_rate: float
    negatives: int
    min_count: int
    hash_buckets: int
    test_share: float | None = None
    validation_share: float | None = None
    test_from: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"leaks": list(self.leaks)}


class DataOptions(Options):
    """Which raw data to prepare, and by which rules. Every field is a command-line flag.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or two that contradict each other.
    """

    data_path: Location | None = Field(
        None, description="folder or file with the raw data, or its address in an object store"
    )
    protocol: Protocol = Field(
        "strict",
        description="strict: nothing from a sample's own label, its future or the test part; "
        "reference: as in the papers' public code",
    )
    split: Split | None = Field(
        None,
        description="how rows are split: time (default of strict), user_time, random (the only choice of reference); "
        "or none: all rows train, see --fit_all",
    )
    leak: tuple[Literal[Leak, "none"], ...] | None = Field(
        None, description="leaks that are on, or none; default: strict none, reference all of them"
    )
    state: State | None = Field(
        None,
        description="what means and histories may know: online, earlier rows of any part (default of the time splits); "
        "frozen, earlier training rows only (the default and only choice of random)",
    )
    max_history: int = Field(50, ge=1, description="maximum length of a history: its most recent ids")
    sample_rate: float = Field(1.0, gt=0, le=1, description="share of the users kept, by a hash of the user's id")
    negatives: int = Field(
        0, ge=0, description="negatives sampled for each positive, for data that hold positives only"
    )
    min_count: int = Field(1, ge=1, description="values in fewer training rows are out of vocabulary")
    hash_buckets: int = Field(
        0, ge=0, description="fields with more training values than this are hashed to this many buckets; 0: no hashing"
    )
    test_share: float | None = Field(
        None, gt=0, lt=1, description="share of the rows that is tested on; default: 0.1, or the last day"
    )
    validation_share: float | None = Field(
        None, gt=0, lt=1, description="share of the rows that is validated on; default: 0.1, or the day before"
    )
    test_from: str | None = Field(
        None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="with --split time: the first day of the test part, such as 2026-11-20; --validation_share is then "
        "of the rows before it",
    )
    prepared_dir: Path = Field(Path("data/prepared"), description="folder for prepared data, reused by later runs")
    engine: EngineName = Field(
        "duckdb", description="what prepares the data: duckdb, in this process, or spark, on one machine or many"
    )
    spark_master: str = Field("local[*]", description="spark only: address of the master")
    spark_scratch: Location | None = Field(
        None, description="spark only: folder or address that all of its machines reach; default: in PREPARED_DIR"
    )
    spark_conf: tuple[str, ...] = Field((), description="spark only: further settings, key=value, comma-separated")

    @model_validator(mode="after")
    def _check(self) -> DataOptions:
        if self.protocol == "reference" and self.split not in (None, "random"):
            raise ValueError(f"--protocol reference allows --split random only. Received: {self.split}")
        self._check_parts()
        if self.leak is not None and "none" in self.leak and set(self.leak) != {"none"}:
            raise ValueError(f"--leak none cannot be combined with a leak. Received: {', '.join(self.leak)}")
        if wrong := [text for text in self.spark_conf if not re.fullmatch(r"[\w.]+=.*", text)]:
            raise ValueError(f"--spark_conf takes key=value, comma-separated. Received: {wrong[0]}")
        if self._split() == "random" and self.state == "online":
            raise ValueError("a random split allows --state frozen only. Received: online")
        return self

    def _check_parts(self) -> None:
        given = [name for name in ("test_share", "validation_share", "test_from") if getattr(self, name) is not None]
        if given and self.protocol == "reference":
            raise ValueError(f"--protocol reference has a split of its own. Received: --{given[0]}")
        if given and self.split == "none":
            raise ValueError(f"--split none leaves all rows for training. Received: --{given[0]}")
        if self.test_from is not None:
            if self._split() != "time":
                raise ValueError(f"--test_from needs --split time. Received: --split {self._split()}")
            if self.test_share is not None:
                raise ValueError("--test_from says which rows are tested on: --test_share cannot be given with it")
            try:
                datetime.date.fromisoformat(self.test_from)
            except ValueError as error:
                raise ValueError(f"--test_from: there is no such day. Received: {self.test_from}") from error
        elif given and (self.test_share or DEFAULT_SHARE) + (self.validation_share or DEFAULT_SHARE) >= 1:
            raise ValueError(
                "--test_share and --validation_share leave no rows to train on: expected less than 1 in all"
            )

    def _split(self) -> Split:
        return self.split or ("random" if self.protocol == "reference" else "time")

    def resolved(self) -> ResolvedOptions:
        """The options with the protocol's defaults filled in."""
        split = self._split()
        asked = self.leak if self.leak is not None else LEAKS if self.protocol == "reference" else ()
        return ResolvedOptions(
            protocol=self.protocol,
            split=split,
            state=self.state or ("frozen" if split == "random" else "online"),
            leaks=tuple(leak for leak in LEAKS if leak in asked),
            max_history=self.max_history,
            sample_rate=self.sample_rate,
            negatives=self.negatives,
            min_count=self.min_count,
            hash_buckets=self.hash_buckets,
            test_share=self.test_share,
            validation_share=self.validation_share,
            test_from=self.test_from,
        )

    def open_engine(self, spill: Path) -> Engine:
        """The engine, ready to work.

        Args:
            spill: existing folder for what does not fit into memory.

        Raises:
            InputError: it is not installed, or cannot be started.
        """
        settings = tuple((key, value) for key, _, value in (text.partition("=") for text in self.spark_conf))
        return engine_class(self.engine)(EngineOptions(spill, self.spark_master, self.spark_scratch, settings))

    def adapter(self, default: Adapter) -> Adapter:
        """The adapter that these options name: `default`, where a data set has no options of its own."""
        return default
