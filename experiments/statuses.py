"""What has become of a planned run, as its folder tells."""

import re
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from experiments.plan import PlannedRun
from experiments.scripts import ROOT
from prerank import folders
from prerank.errors import InputError, middle
from prerank.locks import BusyError
from training.records import read_outcome
from training.run_folder import to_json

FAILED_SUFFIX = ".failed"
LOG = "log.txt"
_LAST_LINES = 15


class Status(StrEnum):
    """What a run's folder tells of it."""

    TO_DO = "to do"
    BEGUN = "begun"
    BUSY = "another process is at it"
    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        return self in (Status.FINISHED, Status.DIVERGED, Status.FAILED)


def failed_folder(run: PlannedRun) -> Path:
    """Where what is left of a failed run lies."""
    final = run.folder.final
    return final.with_name(final.name + FAILED_SUFFIX)


def log_file(run: PlannedRun) -> Path:
    """What the training script prints, while it runs."""
    final = run.folder.final
    return final.with_name(final.name + ".log")


def metrics(run: PlannedRun) -> dict[str, Any]:
    """`metrics.json` of a finished run, of the type :class:`training.records.Outcome`.

    Raises:
        InputError: it is damaged.
    """
    return read_outcome(run.folder.final)


def status(run: PlannedRun) -> Status:
    """What has become of a run so far."""
    final, failed = run.folder.final, failed_folder(run)
    folders.recover(final)
    folders.recover(failed)
    busy = run.folder.busy  # before the look at `final`: a run that ends in between counts as busy once more
    if final.exists():
        return Status(metrics(run)["status"])
    if busy:
        return Status.BUSY
    if failed.exists():
        return Status.FAILED
    return Status.BEGUN if run.folder.working.exists() else Status.TO_DO


def settle(run: PlannedRun) -> Status:
    """Move the log of a run that is over to its folder; of a finished run, forget that it had failed before."""
    found = status(run)
    if not found.over or not (log_file(run).exists() or (found is not Status.FAILED and failed_folder(run).exists())):
        return found
    try:
        with folders.holding(run.folder.final):
            if found is Status.FAILED:
                log_file(run).unlink(missing_ok=True)  # its copy is kept, see :func:`keep_failure`
                return found
            if log_file(run).exists():
                log_file(run).replace(run.folder.final / LOG)
            if failed_folder(run).exists():
                folders.discard(failed_folder(run))
    except BusyError:
        return Status.BUSY
    return found


def keep_failure(run: PlannedRun, exit_code: int) -> None:
    """Record that a run failed: a folder with its configuration, its log, and its last lines in `metrics.json`."""
    resolved = run.config.data.resolved()
    log, failed = log_file(run), failed_folder(run)
    record = {
        "status": Status.FAILED.value,
        "reason": f"ended by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}",
        "exit_code": exit_code,
        "last_lines": last_lines(log),
        "run_id": run.folder.final.name,
        "dataset": run.dataset,
        "protocol": resolved.protocol,
        "split": resolved.split,
        "state": resolved.state,
        "leaks": list(resolved.leaks),
        "model": run.config.run.model_name,
        "seed": run.config.run.random_seed,
        "data_fingerprint": run.fingerprint,
        "raw_data": run.raw_data,
    }
    with folders.holding(failed), folders.replacing(failed) as folder:
        if log.exists():
            shutil.copyfile(log, folder / LOG)
        folders.write_text(folder / "config.yaml", run.config.to_yaml())
        folders.write_text(folder / "metrics.json", to_json(record))
    log.unlink(missing_ok=True)


def retry(run: PlannedRun, failed: bool) -> None:
    """Let a run that something killed from outside count as one to do, and one that failed by itself if `failed`."""
    folder = failed_folder(run)
    if folder.exists() and (failed or read_outcome(folder).get("exit_code", 0) < 0):
        with folders.holding(folder):
            folders.discard(folder)


def failure(run: PlannedRun) -> str:
    """What to tell of a failed run."""
    lines = last_lines(failed_folder(run) / LOG, 1) or ["it printed nothing"]
    said = middle(str(InputError(f"failed: {middle(run.title)}: {lines[0]}")), 300)  # whatever was printed
    return f"{said} (see {failed_folder(run)})"


def last_lines(log: Path, count: int = _LAST_LINES) -> list[str]:
    """The last lines of a log that are not blank, without this machine's folders."""
    if not log.exists():
        return []
    text = log.read_bytes()[-20_000:].decode("utf-8", errors="replace").replace("\r", "\n")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [without_folders(line) for line in lines[-count:]]


def without_folders(line: str) -> str:
    """A line without the folders that this project, Python and its packages lie in."""
    line = re.sub(r"[^\s\"']*/site-packages/", "", line).replace(f"{ROOT}/", "")
    return line.replace(f"{sys.prefix}/", "").replace(f"{sys.base_prefix}/", "")
