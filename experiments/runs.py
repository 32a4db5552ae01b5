"""The runs that lie in a folder, as records: what they were of, and what came out."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

import models
from experiments import bootstrap
from experiments.agreement_record import Agreement
from experiments.scripts import options_and_defaults
from preprocess.generated import without_suffix
from preprocess.options import LEAKS
from preprocess.yaml_files import read_yaml
from prerank import folders, names
from prerank.csv_rows import read_numbers, text_of
from prerank.errors import InputError
from prerank.reading import read_record
from training.config import NOT_IDENTITY
from training.options import RunOptions
from training.records import METRICS, read_metrics

Variant = tuple[tuple[str, Any], ...]
"""Options by name."""
CONFIG = "config.yaml"
AGREEMENT, BOOTSTRAP = "ranker_agreement.json", "bootstrap.csv"
HISTORY = "history.csv"
SMALL_FILES = (METRICS, HISTORY, BOOTSTRAP, AGREEMENT)
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
        """The setting for people; only the protocol's name where all else is its default."""
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
        metrics = read_metrics(folder)
        return cls(folder, _read_config(folder / CONFIG, metrics["dataset"], metrics["model"]), metrics)

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
        """The replicates of `bootstrap.csv`, or None.

        Raises:
            InputError: the file is damaged.
        """
        file = self.folder / BOOTSTRAP
        if not file.exists():
            return None
        found = bootstrap.from_csv(text_of(file), file)
        if len(found) != bootstrap.SAMPLES:
            raise InputError(f"{bootstrap.SAMPLES} rows expected. Received: {len(found)}", path=file)
        return found

    @cached_property
    def agreement(self) -> dict[str, Any] | None:
        """What `ranker_agreement.json` holds, or None; it is of the type :class:`Agreement`.

        Raises:
            InputError: the file is damaged.
        """
        file = self.folder / AGREEMENT
        return cast(dict[str, Any], read_record(file, Agreement)) if file.exists() else None

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch.

        Raises:
            InputError: the file is damaged.
        """
        file = self.folder / HISTORY
        return read_numbers(file) if file.exists() else []


def read_all(folder: Path) -> list[Run]:
    """Every run below a folder, `<data set>/<protocol>/<model>/<run id>/`, in that order.

    Runs on all rows are left out: nothing of them is measured.

    Raises:
        InputError: a run's folder is damaged, or of another data set, protocol or model than its record.
    """
    try:
        folders.recover_below(folder, "*/*/*/*")
    except OSError as error:
        raise InputError(f"a run whose replacement was killed cannot be put back: {error}", path=folder) from error
    files = sorted(folder.glob(f"*/*/*/*/{METRICS}"))
    found = [Run.read(file.parent) for file in files if folders.is_whole(file.parent)]
    for run in found:
        place = run.folder.parts[-4:-1]
        named = tuple(run.metrics[name] for name in ("dataset", "protocol", "model"))
        if place != named:
            raise InputError(f"the folder is of {'/'.join(place)}, its record of {'/'.join(named)}", path=run.folder)
    return [run for run in found if run.metrics.get("fitted_on") != "all"]


def _read_config(path: Path, dataset: str, model: str) -> dict[str, Any]:
    """A run's configuration; what its result depends on is of the types of the options, as far as they still exist."""
    config = read_yaml(path)
    kinds = (RunOptions, options_and_defaults(dataset)[0], models.get(model).options)
    for name, value in config.items():
        try:
            names.name(name)
            if name in NOT_IDENTITY:
                continue
            for kind in kinds:
                if name in kind.model_fields:
                    kind.check_option(name, value)
                    break
            else:
                _check_plain(value)
        except ValidationError as error:
            raise InputError(f"{name}: {error.errors()[0]['msg']}. Received: {value!r}", path=path) from error
        except ValueError as error:
            raise InputError(f"{name[:100]}: {error}", path=path) from error
    return config


def _check_plain(value: Any) -> None:
    values = value if isinstance(value, list) else [value]
    if any(isinstance(element, dict | list) for element in values):
        raise ValueError("expected a text, a number, or a list of them")


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
