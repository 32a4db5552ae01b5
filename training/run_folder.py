"""The folder of a run: built beside its final place, and renamed there when it is whole."""

import fcntl
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prerank.errors import InputError

_WORKING_SUFFIX = ".partial"


class RunFolder:
    """`<output_dir>/<data set>/<protocol>/<model>/<run id>/`.

    Args:
        final: the folder's place once the run is finished.
    """

    def __init__(self, final: Path):
        self.final = final
        self.working = final.with_name(final.name + _WORKING_SUFFIX)
        self.checkpoints = self.working / "checkpoints"

    def check_unfinished(self, overwrite: bool) -> None:
        """Refuse to replace a finished run, unless told.

        Raises:
            InputError: the run is finished already.
        """
        if self.final.exists() and not overwrite:
            raise InputError(
                "this run is finished: change an option or the seed, or train it again with --overwrite",
                path=self.final,
            )

    @contextmanager
    def open(self, overwrite: bool) -> Iterator[None]:
        """Hold the working folder, left by an interrupted run or new, while the run goes on.

        Raises:
            InputError: the run is finished already, another process is at it, or the folder cannot be written.
        """
        self.check_unfinished(overwrite)
        try:
            self.working.mkdir(parents=True, exist_ok=True)
            lock = (self.working / ".lock").open("w")
        except OSError as error:
            raise InputError(f"--output_dir: cannot write there: {error.strerror}", path=self.working) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError("another process is training this run", path=self.working) from error
            try:
                yield
            except BaseException:
                if not any(self.checkpoints.glob("*")):
                    shutil.rmtree(self.working, ignore_errors=True)  # nothing to go on from
                raise

    def finish(self) -> None:
        """Put the working folder in its final place, in the stead of an earlier one."""
        (self.working / ".lock").unlink()
        if self.final.exists():
            replaced = self.final.with_name(self.final.name + ".replaced")
            self.final.rename(replaced)
            self.working.rename(self.final)
            shutil.rmtree(replaced)
        else:
            self.working.rename(self.final)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the working folder whole or not at all."""
        write_text(self.working / name, text)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def to_json(values: dict[str, Any]) -> str:
    """JSON text of metrics; numbers that are not finite become null."""
    return json.dumps(_finite(values), indent=2) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
