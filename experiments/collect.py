"""Keeps the small files of runs where they can be committed: without weights, predictions and machine paths."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from experiments.runs import CONFIG, SMALL_FILES, Run
from experiments.states import FAILED_SUFFIX
from prerank.reading import read_text
from training.config import NOT_IDENTITY
from training.run_folder import write_text


def collect(runs: Iterable[Run], target: Path) -> list[Path]:
    """Copy the configuration, metrics, history and measurements of runs to `target`, over what is there of them.

    The configuration loses what does not change the result, and with it every path. A failed run that has finished
    since is removed.

    Returns:
        The folders.

    Raises:
        InputError: a file of a run is damaged; then nothing is copied.
    """
    found = list(runs)
    for run in found:
        _ = run.history, run.bootstrap, run.agreement
    return [_collect(run, target) for run in found]


def _collect(run: Run, target: Path) -> Path:
    place = target / run.setting.dataset / run.setting.protocol / run.model
    folder = place / run.folder.name
    if run.status != "failed":
        shutil.rmtree(folder.with_name(folder.name + FAILED_SUFFIX), ignore_errors=True)
    config = {name: value for name, value in run.config.items() if name not in NOT_IDENTITY}
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=False))
    for name in SMALL_FILES:
        if (run.folder / name).exists():
            write_text(folder / name, read_text(run.folder / name))
    return folder
