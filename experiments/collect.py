"""Keeps the small files of runs where they can be committed: without weights, predictions and machine paths."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from experiments.runs import AGREEMENT, BOOTSTRAP, CONFIG, SMALL_FILES, Run
from experiments.statuses import FAILED_SUFFIX
from prerank import folders
from prerank.reading import read_text
from training.config import NOT_IDENTITY


def collect(runs: Iterable[Run], target: Path) -> list[Path]:
    """Copy the configuration, metrics, history and measurements of runs to `target`, in the stead of what is there.

    Each run's folder appears whole or not at all. The configuration loses what does not change the result, and with it
    every path. Measurements that a run lacks are kept if they are of the same results. A failed run that has finished
    since is removed. The caller holds `target`.

    Returns:
        The folders.

    Raises:
        InputError: a file of a run is damaged; then nothing is copied.
    """
    found = list(runs)
    for run in found:
        _ = run.history, run.bootstrap, run.agreement
    for place in target.glob("*/*/*"):
        folders.sweep(place)
    return [_collect(run, target) for run in found]


def _collect(run: Run, target: Path) -> Path:
    place = target / run.setting.dataset / run.setting.protocol / run.model
    folder = place / run.folder.name
    config = {name: value for name, value in run.config.items() if name not in NOT_IDENTITY}
    with folders.replacing(folder) as working:
        folders.write_text(working / CONFIG, yaml.safe_dump(config, sort_keys=False))
        for name in SMALL_FILES:
            if (run.folder / name).exists():
                folders.write_text(working / name, read_text(run.folder / name))
            elif name in (BOOTSTRAP, AGREEMENT) and (folder / name).exists() and _same_results(run, folder):
                shutil.copyfile(folder / name, working / name)
    failed = folder.with_name(folder.name + FAILED_SUFFIX)
    if run.status != "failed" and failed.exists():
        folders.discard(failed)
    return folder


def _same_results(run: Run, folder: Path) -> bool:
    return Run.read(folder).metrics.get("test") == run.metrics.get("test")
