"""The runs that lie in a folder, as records: what they were of, and what came out."""

import csv
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

import models
from experiments import bootstrap
from experiments.scripts import options_and_defaults
from preprocess.generated import without_suffix
from preprocess.options import LEAKS
from prerank import folders
from prerank.errors import InputError
from training.config import NOT_IDENTITY
from training.options import RunOptions

Variant = tuple[tuple[str, Any], ...]
"""Options by name."""
AGREEMENT, BOOTSTRAP = "ranker_agreement.json", "bootstrap.csv"
SMALL_FILES = ("metrics.json", "history.csv", BOOTSTRAP, AGREEMENT)
"""What is kept of a run for the report, beside its `config.yaml`."""
_OF_SETTING = {"protocol", "split", "state", "leak"}
_OF_TRAINING = {name for name in RunOptions.model_fields if name not in NOT_IDENTITY} - {"model_name", "random_seed"}


@dataclass(frozen=True, order=True)
class Setting:
    """What runs have to share to be comparable.

    Attributes:
        dataset, protocol, split, state, leaks: as in a run's metrics.
        options: options of the preparation that differ from the defaults, by name, beside these.
        fingerprint: of the prepared data.
    """

    dataset: str
    protocol: str
    split: str
    state: str
    leaks: tuple[str, ...]
    options: Variant
    fingerprint: str

    @property
    def title(self) -> str:
        """The setting for people; the protocol's name alone where all else is its default."""
        parts = [self.protocol]
        if self.protocol == "strict" and (self.split, self.state) != ("time", "online"):
            parts += [self.split, self.state]
        if not self.standard:
            parts.append(f"leaks: {' '.join(self.leaks) or 'none'}")
        return ", ".join([*parts, *([variant_title(self.options)] if self.options else [])])

    @property
    def standard(self) -> bool:
        """Whether it is a protocol as it stands, with no leak switched on or off."""
        return self.leaks == (LEAKS if self.protocol == "reference" else ())


@dataclass(frozen=True)
class Run:
    """A run's folder.

    Attributes:
        folder: where it lies.
        config: what its `config.yaml` holds.
        metrics: what its `metrics.json` holds.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a folder.

        Raises:
            InputError: a file is missing or damaged.
        """
        try:
            config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
            return cls(folder, config, json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(f"not a run's folder: {error}", path=folder) from error

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.metrics["model"]

    @property
    def seed(self) -> int:
        """Its random seed."""
        return self.metrics["seed"]

    @property
    def status(self) -> str:
        """`finished`, `diverged` or `failed`."""
        return self.metrics["status"]

    @property
    def raw_data(self) -> str:
        """Hash of the raw data that it was on; empty for a run from before that was kept."""
        return self.metrics.get("raw_data") or ""

    @cached_property
    def setting(self) -> Setting:
        """What it is comparable with."""
        found = self.metrics
        category_of = without_suffix(found["dataset"])
        return Setting(
            dataset=found["dataset"],
            protocol=found["protocol"],
            split=found["split"],
            state=found["state"],
            leaks=tuple(found["leaks"]),
            options=tuple(
                (name, value)
                for name, value in _different(self.config, _data_defaults(found["dataset"]))
                if not (isinstance(value, str) and category_of.endswith(f"_{value}"))  # a category: named already
            ),
            fingerprint=found["data_fingerprint"],
        )

    @cached_property
    def variant(self) -> Variant:
        """Options of model and training that differ from the defaults, by name."""
        return variant_of(self.metrics["dataset"], self.model, self.config)

    @cached_property
    def bootstrap(self) -> bootstrap.Floats | None:
        """The replicates of `bootstrap.csv`, or None."""
        file = self.folder / BOOTSTRAP
        return bootstrap.from_csv(file.read_text(encoding="utf-8")) if file.exists() else None

    @cached_property
    def agreement(self) -> dict[str, Any] | None:
        """What `ranker_agreement.json` holds, or None."""
        file = self.folder / AGREEMENT
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch."""
        file = self.folder / "history.csv"
        if not file.exists():
            return []
        with file.open(encoding="utf-8") as lines:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]


def read_all(folder: Path) -> list[Run]:
    """Every run below a folder, `<data set>/<protocol>/<model>/<run id>/`, in that order.

    Raises:
        InputError: a run's folder is damaged, or its model unknown.
    """
    try:
        folders.recover_below(folder, "*/*/*/*")
    except OSError as error:
        raise InputError(f"a run whose replacement was killed cannot be put back: {error}", path=folder) from error
    files = sorted(folder.glob("*/*/*/*/metrics.json"))
    found = [Run.read(file.parent) for file in files if folders.is_whole(file.parent)]
    return [run for run in found if models.get(run.model)]


def variant_of(dataset: str, model: str, values: Mapping[str, Any]) -> Variant:
    """Those of a configuration's options of model and training that differ from the defaults, by name."""
    return tuple(sorted(_different(values, _defaults(dataset, model))))


def _different(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, default in defaults.items():
        if (found := _plain(values.get(name, default))) != default:
            yield name, found


def variant_title(variant: Variant) -> str:
    """The options of a variant for people, `key=value` as `benchmark.py` takes them."""
    return " ".join(f"{name}={value}" for name, value in spelt(variant).items())


def spelt(variant: Variant) -> dict[str, str]:
    """The options of a variant as texts by name."""
    return {name: _spelt(value) for name, value in variant}


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.cache
def _defaults(dataset: str, model: str) -> Mapping[str, Any]:
    """Default of every option of model and training, with the data set's own."""
    of_training = RunOptions.model_validate({}).model_dump(mode="json", include=_OF_TRAINING)
    values = of_training | models.get(model).options.model_validate({}).model_dump(mode="json")
    _, own = options_and_defaults(dataset)
    values |= {name: value for name, value in own.items() if name in values}
    return {name: _plain(value) for name, value in values.items()}


@functools.cache
def _data_defaults(dataset: str) -> Mapping[str, Any]:
    """Default of every option of the preparation that :class:`Setting` has no attribute for."""
    values = options_and_defaults(dataset)[0].model_validate({}).model_dump(mode="json")
    return {name: _plain(value) for name, value in values.items() if name not in _OF_SETTING | NOT_IDENTITY}
