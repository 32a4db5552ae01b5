"""Which runs are asked for, and where each of them will lie."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import models
from experiments.scripts import Script
from preprocess.options import ResolvedOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.config import Config, parse
from training.run_folder import RunFolder
from training.source import locate

_OVERRIDE = re.compile(r"([a-z][a-z0-9_]*)=(.*)")
_OWN = ("model_name", "protocol", "random_seed", "data_path", "output_dir", "save_predictions", "overwrite")


@dataclass(frozen=True)
class PlannedRun:
    """A run of a training script.

    Attributes:
        config: its whole configuration.
        change: the options asked for beside model, protocol and seed, as texts by name.
        flags: the script's flags.
        folder: where it goes.
        dataset: name of the data set.
        fingerprint: of the prepared data.
        raw_data: hash of the raw data.
    """

    config: Config
    change: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    folder: RunFolder
    dataset: str
    fingerprint: str
    raw_data: str = ""

    @property
    def name(self) -> str:
        """The model, and the options asked for."""
        return " ".join([self.config.run.model_name, *(f"{key}={value}" for key, value in self.change)])

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return self.config.data.resolved().protocol

    @property
    def title(self) -> str:
        """The run for people: model, protocol and seed."""
        return f"{self.name}, {self.protocol}, seed {self.config.run.random_seed}"


def overrides(texts: Iterable[str]) -> dict[str, str]:
    """`key=value` arguments as a mapping.

    Raises:
        InputError: one is not of that form, names an option that `benchmark.py` sets itself, or occurs twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        match = _OVERRIDE.fullmatch(text)
        if not match:
            raise InputError(f"options of the training script are given as key=value. Received: {text!r}")
        key, value = match.groups()
        if key in _OWN:
            raise InputError(f"{key}=: benchmark.py sets this option itself, by a flag of its own")
        if key in found:
            raise InputError(f"{key}= is given twice")
        found[key] = value
    return found


def flags_of(values: Mapping[str, str]) -> list[str]:
    """Options by name as flags; true and false as `--key` and `--no-key`."""
    booleans = {"true": "--{}", "false": "--no-{}"}
    return [
        booleans[value.lower()].format(key) if value.lower() in booleans else f"--{key}={value}"
        for key, value in values.items()
    ]


class Planner:
    """Makes runs of one data set, whose data are prepared once for each way of preparing them.

    Args:
        script: the data set's training script.
        data_path: raw data; as the script finds them if None.
        output_dir: folder of the runs.
        report: takes lines meant for the user.
    """

    def __init__(
        self, script: Script, data_path: Path | None, output_dir: Path, report: Callable[[str], object] = print
    ):
        self._script = script
        self._data_path = data_path
        self._output_dir = output_dir
        self._report = report
        self._prepared: dict[tuple[Path, Path, ResolvedOptions], PreparedData] = {}

    def run(self, model: str, protocol: str, seed: int, values: Mapping[str, str]) -> PlannedRun:
        """One run; `values` are further options of the training script.

        Raises:
            InputError: an option is unknown or its value wrong, or the data cannot be prepared.
        """
        flags = [f"--model_name={model}", f"--protocol={protocol}", f"--random_seed={seed}", *flags_of(values)]
        flags += [f"--output_dir={self._output_dir}", "--save_predictions"]
        config = self.config(flags)
        data = self.data(config)
        place = self._output_dir / data.spec.dataset / config.data.resolved().protocol / model
        folder = RunFolder(place / config.identity(data.fingerprint))
        flags.append(f"--data_path={self._data_path}")
        told = (data.spec.dataset, data.fingerprint, data.raw_data)
        return PlannedRun(config, tuple(values.items()), tuple(flags), folder, *told)

    def config(self, flags: Sequence[str]) -> Config:
        """The configuration that the training script makes of its flags.

        Raises:
            InputError: an option is unknown or its value wrong.
        """
        source = self._script.source
        return parse(
            flags,
            program=self._script.path.name,
            description="",
            data_options=source.options,
            defaults=dict(source.defaults),
        )

    def data(self, config: Config) -> PreparedData:
        """The prepared data of a configuration.

        Raises:
            InputError: they cannot be prepared.
        """
        path = self.raw(config)
        options = config.data.model_copy(update={"data_path": path})
        key = (path, options.prepared_dir, options.resolved())
        if key not in self._prepared:
            self._prepared[key] = prepare(self._script.source.adapter, options, self._report)
        return self._prepared[key]

    def raw(self, config: Config) -> Path:
        """Where the raw data lie: where the user named, or as the script finds them.

        Raises:
            InputError: there are none.
        """
        if self._data_path is None:
            self._data_path = locate(self._script.source, config)
        return self._data_path


def chosen_models(text: str) -> list[str]:
    """Names of `--models`: all, or comma-separated names.

    Raises:
        InputError: a name is unknown.
    """
    if text == "all":
        return models.names()
    return [models.get(name).name for name in text.split(",")]
