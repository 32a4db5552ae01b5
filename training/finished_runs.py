"""Finished runs by their folders: which they are. Needs no TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prerank.errors import InputError
from training.records import METRICS, read_metrics

WEIGHTS = "checkpoints"
"""The folder, within a run's, with the trained weights."""


def finished_metrics(folder: Path, option: str) -> dict[str, Any]:
    """What the `metrics.json` of a finished run holds.

    Args:
        folder: the run's.
        option: the flag that names it.

    Raises:
        InputError: there is no finished run, or its weights are gone; begins with the flag.
    """
    if not (folder / METRICS).is_file():
        raise InputError(f"{option}: expected the folder of a finished run, with {METRICS}", path=folder)
    found = read_metrics(folder)
    if found["status"] != "finished":
        raise InputError(f"{option}: the run is not finished but {found['status']}", path=folder)
    if not (folder / WEIGHTS).is_dir():
        raise InputError(f"{option}: the run's weights are gone: train it again", path=folder / WEIGHTS)
    return found


def identity_of(folder: Path, option: str) -> str:
    """What tells a finished run from others, wherever its folder lies: what it is, on which data, and its weights.

    Raises:
        InputError: as for :func:`finished_metrics`.
    """
    found = finished_metrics(folder, option)
    digest = hashlib.sha256()
    for path in sorted((folder / WEIGHTS).glob("best.*")):
        digest.update(path.read_bytes())
    names = (found["dataset"], found["protocol"], found["model"], found["run_id"], found["data_fingerprint"])
    return "/".join([*names, digest.hexdigest()[:16]])


def by_identity(runs: Sequence[str], option: str) -> dict[str, Path]:
    """The folders of finished runs by what tells the runs from others, in the order of that.

    Args:
        runs: the folders' names.
        option: the flag that names them.

    Raises:
        InputError: as for :func:`finished_metrics`, or two folders hold the same run.
    """
    found: dict[str, Path] = {}
    for run in runs:
        identity = identity_of(Path(run), option)
        if identity in found:
            raise InputError(f"{option}: the same run as {str(found[identity])!r}, expected each once", path=run)
        found[identity] = Path(run)
    return dict(sorted(found.items()))


def epochs_on_all(fit_all: int | str, most: int) -> int:
    """How many epochs `--fit_all` trains: the number given, or the best epoch of the evaluated run that it names.

    Args:
        fit_all: the number, or the run's folder.
        most: `--epoch`, the number that schedules are planned for.

    Raises:
        InputError: there is no such run, it was not evaluated itself, or had more epochs than `most`.
    """
    if isinstance(fit_all, int):
        return fit_all
    found = finished_metrics(Path(fit_all), "--fit_all")
    if found.get("fitted_on") == "all":
        raise InputError("--fit_all: that run was trained on all rows, expected an evaluated one", path=fit_all)
    if not 1 <= (best := found.get("best_epoch", 0)) <= most:
        raise InputError(f"--fit_all: expected a best epoch from 1 to --epoch {most}. Received: {best}", path=fit_all)
    return best
