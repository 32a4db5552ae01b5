"""The run that a training goes on from: where it lies, its data, and their saved state. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from preprocess.prepared import PreparedData
from preprocess.saved_state import FOLDER
from preprocess.yaml_files import read_yaml
from prerank.errors import InputError
from prerank.layout import FEATURES
from prerank.reading import problem
from training.config import Config
from training.finished_runs import finished_metrics
from training.records import METRICS, read_metrics

FLAG, STATE_FLAG = "--init_from", "--state_from"


def going_on(config: Config) -> Config:
    """The configuration with the run in place of an export of it, and with the data whose state goes on.

    Raises:
        InputError: `--init_from` is neither a finished run nor an export whose run is there still, the data of a run
            are gone, or its state does not go with the other options.
    """
    run, data = config.run, config.data
    if run.init_from is not None:
        run = run.model_copy(update={"init_from": _of_export(run.init_from)})
    if data.state_from is not None and (data.state_from / METRICS).is_file():
        data = data.model_copy(update={"state_from": earlier_data(_of_export(data.state_from), STATE_FLAG).path})
    elif data.state_from is None and run.init_from is not None:
        place = earlier_data(run.init_from).path
        if (place / FOLDER).is_dir():
            try:
                data = type(data).model_validate(data.model_dump() | {"state_from": place})
            except ValidationError as error:
                raise InputError(
                    f"{FLAG}: the run keeps a state: {problem(error, None)}", path=run.init_from
                ) from error
    return replace(config, run=run, data=data)


def _of_export(folder: Path) -> Path:
    """The run that an export was made from; a folder that is no export is given back."""
    if not (folder / FEATURES).is_file():
        return folder
    values, found = read_yaml(folder / "config.yaml", FLAG), read_metrics(folder)
    place = Path(str(values.get("output_dir")), found["dataset"], found["protocol"], found["model"], found["run_id"])
    if not (place / METRICS).is_file():
        raise InputError(f"{FLAG}: an export begins where its run ended, and the run is gone: {place}", path=folder)
    return place


def scaled(data: PreparedData, folder: Path, option: str = FLAG) -> PreparedData:
    """The data of a run with the scaling of numbers that its model was trained with, which may be an earlier one's."""
    scaling = finished_metrics(folder, option).get("scaling") or {}
    try:
        fields = tuple(
            replace(field, mean=float(scaling[field.name][0]), scale=float(scaling[field.name][1]))
            if field.name in scaling
            else field
            for field in data.spec.fields
        )
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{option}: damaged: scaling: expected a mean and a scale", path=folder / METRICS) from error
    return replace(data, spec=replace(data.spec, fields=fields))


def earlier_data(folder: Path, option: str = FLAG) -> PreparedData:
    """The prepared data that a finished run was trained on, with the scaling that its model knows.

    Raises:
        InputError: there is no finished run, or its data are gone; begins with the option.
    """
    metrics = finished_metrics(folder, option)
    prepared = read_yaml(folder / "config.yaml", option).get("prepared_dir")
    place = Path(str(prepared)) / metrics["dataset"] / metrics["data_fingerprint"]
    try:
        data = PreparedData.open(place)
    except (InputError, OSError) as error:
        raise InputError(f"{option}: the data that the run was trained on are needed for its ids: {error}") from error
    return scaled(data, folder, option)
