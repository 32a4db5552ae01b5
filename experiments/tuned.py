"""The best options that tuning found, as they are kept for later runs and for the report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from experiments.plan import flags_of
from experiments.runs import Variant, variant_of
from experiments.scripts import options_and_defaults
from preprocess.yaml_files import read_yaml
from prerank.errors import InputError
from prerank.folders import write_text
from prerank.reading import check
from training.config import parse


@dataclass(frozen=True)
class Tuned:
    """What tuning a model found.

    Attributes:
        validation_auc: of the best trial.
        default_validation_auc: of the trial with default options; None if that has no result.
        trials: how many were tried.
        seed: of every trial.
        options: of the best trial, as texts by name.
        data: fingerprint of the prepared data; empty in a file from before that was kept.
    """

    validation_auc: float
    default_validation_auc: float | None
    trials: int
    seed: int
    options: Mapping[str, str]
    data: str = ""

    @classmethod
    def read(cls, results: Path, dataset: str, protocol: str, model: str) -> "Tuned":
        """Read what :meth:`write` wrote.

        Raises:
            InputError: the model was not tuned for this data set and protocol, or the file is damaged.
        """
        path = tuned_file(results, dataset, protocol, model)
        if not path.exists():
            raise InputError(f"--tuned: {model} was not tuned for this: benchmark.py tune", path=path)
        try:
            return check(json.dumps(read_yaml(path)), cls)
        except InputError as error:
            raise InputError(f"not a file of `benchmark.py tune`: {error}", path=path) from error

    def write(self, path: Path) -> None:
        """Keep it as YAML."""
        write_text(path, yaml.safe_dump(asdict(self), sort_keys=False))

    def variant(self, dataset: str, protocol: str, model: str) -> Variant:
        """Those of the options that differ from the defaults, as a run's :attr:`~experiments.runs.Run.variant`."""
        data_options, defaults = options_and_defaults(dataset)
        flags = [f"--model_name={model}", f"--protocol={protocol}", *flags_of(self.options)]
        config = parse(flags, program="", description="", data_options=data_options, defaults=dict(defaults))
        return variant_of(dataset, model, config.values())


def tuned_file(results: Path, dataset: str, protocol: str, model: str) -> Path:
    """Where the best options of a model are kept."""
    return results / "tuned" / dataset / protocol / f"{model}.yaml"
