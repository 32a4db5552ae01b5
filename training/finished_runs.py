"""Finished runs by their folders: which they are. Needs no TensorFlow."""

from __future__ import annotations

import hashlib
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
