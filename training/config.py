"""One configuration: flags, YAML keys and their help all come from the typed options of run, data and model."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ValidationError, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

import models
from models import ModelOptions
from preprocess.options import DataOptions, without_added
from preprocess.yaml_files import read_yaml
from prerank.errors import InputError
from prerank.hints import closest
from prerank.reading import problem
from prerank.terminal import Parser
from training.finished_runs import by_identity, epochs_on_all, identity_of
from training.objective_options import OF_DATA, used
from training.option_help import help_text
from training.options import RunOptions

# Where results go and how they are shown does not change them. The strategy does, with more replicas than one.
NOT_IDENTITY = {
    "output_dir", "overwrite", "export_dir", "export_format", "export_version", "export_examples", "save_predictions",
    "download", "data_path", "prepared_dir", "schema", "dataset", "kuairec_matrix", "kuairec_positive_from", "strategy",
    "prepare_only", "engine", "spark_master", "spark_scratch", "spark_conf",
}  # fmt: skip
_ALSO = {"epoch": "epochs"}
"""Further spellings of options, as flags and as keys."""


@dataclass(frozen=True)
class Config:
    """A whole run's configuration.

    Attributes:
        run: what to train and how.
        data: which data, by which rules.
        model: the chosen model's options.
    """

    run: RunOptions
    data: DataOptions
    model: ModelOptions

    def __post_init__(self) -> None:
        """Check what options of several kinds have to say together.

        Raises:
            InputError: they contradict each other.
        """
        whole, fit_all = self.data.split == "none", self.run.fit_all
        if whole and fit_all is None and not self.run.prepare_only:
            raise InputError("--split none needs --fit_all EPOCHS: no part is left to choose an epoch on")
        if fit_all is not None and not whole:
            raise InputError("--fit_all trains on all rows, so it needs --split none")

    def values(self) -> dict[str, Any]:
        """All options by name, as plain YAML values."""
        parts = (self.run, self.data, self.model)
        return {name: value for part in parts for name, value in part.model_dump(mode="json").items()}

    def to_yaml(self) -> str:
        """Text that `--config` reads back to the same configuration."""
        return yaml.safe_dump(self.values(), sort_keys=False)

    def identity(self, data_fingerprint: str, replicas: int = 1) -> str:
        """The run's id: its seed, and a hash of what its result depends on.

        Args:
            data_fingerprint: of the prepared data.
            replicas: how many train; several round otherwise than one, and take some losses over fewer rows.

        Raises:
            InputError: a teacher is no finished run, or named twice; `--fit_all` names no evaluated run.
        """
        values = {name: value for name, value in used(self.values()).items() if name not in NOT_IDENTITY}
        if self.run.teacher and OF_DATA not in self.run.teacher:
            values["teacher"] = list(by_identity(self.run.teacher, "--teacher"))
        if self.run.init_from is not None:
            values["init_from"] = identity_of(self.run.init_from, "--init_from")
        if self.run.fit_all is not None:
            values["fit_all"] = epochs_on_all(self.run.fit_all, self.run.epoch)
        distributed = [self.run.strategy, replicas] if replicas > 1 else []
        text = json.dumps([without_added(values), data_fingerprint, *distributed], sort_keys=True)
        return f"seed{self.run.random_seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def replace(self, **values: Any) -> "Config":
        """A copy with other values, checked."""
        options = models.get(values.get("model_name", self.run.model_name)).options
        return _split(options, {**self.values(), **values}, type(self.data))


def parse(
    argv: Sequence[str],
    *,
    program: str,
    description: str,
    data_options: type[DataOptions] = DataOptions,
    defaults: dict[str, Any] | None = None,
) -> Config:
    """Read a configuration from flags and, below them, the YAML file that `--config` names.

    Args:
        argv: command line without the program's name.
        program: name shown in the help.
        description: what the help says of the program.
        data_options: the data set's options.
        defaults: the data set's own defaults for options that a model has.

    Raises:
        InputError: an unknown flag, key or model, or a value that is not allowed.
        SystemExit: help was asked for.
    """
    first = Parser(add_help=False)
    first.add_argument("--config", type=Path)
    first.add_argument("--model_name")
    known, rest = first.parse_known_args(argv)
    _check_spaces(argv)
    values = {} if known.config is None else read_yaml(known.config, "--config")
    for option, spelling in _ALSO.items():
        if spelling in values:
            values.setdefault(option, values.pop(spelling))
    if known.model_name is not None:
        values["model_name"] = known.model_name
    name = values.get("model_name", RunOptions.model_fields["model_name"].default)
    if not isinstance(name, str):
        raise InputError(f"model_name: expected a text. Received: {name!r}", path=known.config)
    options = models.get(name).options
    for key, value in (defaults or {}).items():
        if key in options.model_fields or key in RunOptions.model_fields:
            values.setdefault(key, value)
    flags = _flags(options, data_options)
    if {"-h", "--help"} & set(rest):
        own = {key: values[key] for key in defaults or {} if key in values}
        print(help_text(program, description, data_options, options, name, models.names(), own), end="")
        raise SystemExit(0)
    for key in values:
        if key not in flags.model_fields:
            raise InputError(f"{known.config}: {key}: {_unknown(key, flags, name)}")
    for flag in _names_of_flags(rest):
        if not _is_flag(flag, flags):
            raise InputError(f"--{flag}: {_unknown(flag, flags, name, '--')}")
    try:
        parsed = flags(_cli_parse_args=list(rest), **values)
        return _split(options, parsed.model_dump(), data_options)
    except SettingsError as error:
        raise InputError(_argparse_message(error)) from error
    except ValidationError as error:
        raise InputError(_first_error(error, known.config, argv)) from error


def _split(
    options: type[ModelOptions], values: dict[str, Any], data_options: type[DataOptions] = DataOptions
) -> Config:
    def part(kind: type[BaseModel]) -> Any:
        return kind(**{name: values[name] for name in kind.model_fields if name in values})

    return Config(run=part(RunOptions), data=part(data_options), model=part(options))


def _flags(options: type[ModelOptions], data_options: type[DataOptions]) -> type[BaseSettings]:
    """A settings class with the fields of all three kinds of options, which reads flags and nothing else."""

    class Flags(BaseSettings):
        model_config = SettingsConfigDict(
            extra="forbid",
            protected_namespaces=(),
            cli_implicit_flags=True,
            cli_exit_on_error=False,
            cli_avoid_json=True,
            cli_shortcuts=_ALSO,
        )

        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, *_, **__):
            return (init_settings,)

    return create_model("Flags", __base__=cast(Any, (RunOptions, data_options, options, Flags)))


def _names_of_flags(argv: Sequence[str]) -> list[str]:
    """The flags on a command line, without dashes before them and values behind them."""
    return [argument[2:].partition("=")[0] for argument in argv if argument.startswith("--") and len(argument) > 2]


def _is_flag(name: str, flags: type[BaseSettings]) -> bool:
    fields = flags.model_fields
    switch = name.removeprefix("no-")
    return name in fields or name in _ALSO.values() or (switch in fields and fields[switch].annotation is bool)


def _unknown(name: str, flags: type[BaseSettings], model: str, dashes: str = "") -> str:
    """What to say of an option that this model and data set do not have."""
    owners = [other for other in models.names() if name in models.get(other).options.model_fields]
    if owners:
        return f"{model} has no such option; {', '.join(owners)} {'has' if len(owners) == 1 else 'have'} it"
    found = closest(name, flags.model_fields)
    return "there is no such option" + (f"; did you mean {dashes}{found}?" if found else "")


def _check_spaces(argv: Sequence[str]) -> None:
    """Refuse spaces around a flag's value: pydantic-settings would take them off without a word."""
    for argument in argv:
        name, equals, value = argument.partition("=")
        if not (name.startswith("--") and equals):
            value = argument
        if value != value.strip():
            raise InputError(f"{name if value != argument else 'a flag'}: spaces around the value. Received: {value!r}")


def _first_error(error: ValidationError, config: Path | None, argv: Sequence[str]) -> str:
    name = str((*error.errors()[0]["loc"], "")[0])
    spellings = (f"--{name}", f"--{_ALSO.get(name, name)}")
    from_flag = any(argument.split("=")[0] in spellings for argument in argv)
    where = "" if not name else f"--{name}: " if from_flag or config is None else f"{config}: {name}: "
    return where + problem(error, None)


def _argparse_message(error: SettingsError) -> str:
    unread = re.search(r'(?:error parsing value for field|Parsing error encountered for) "?(\w+)', str(error))
    if unread:
        return f"--{unread[1]}: expected values, comma-separated"
    return str(error).removeprefix("error parsing CLI: ")
