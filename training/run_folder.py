"""The folder of a run: built beside its final place, and renamed there when it is whole."""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from prerank import folders
from prerank.errors import InputError
from prerank.locks import BusyError

_WORKING_SUFFIX = ".partial"
METRICS, PROGRESS = "metrics.json", "progress.json"


class RunFolder:
    """`<output_dir>/<data set>/<protocol>/<model>/<run id>/`.

    While the run goes on, its files are in `<run id>.partial/`. `metrics.json` is the last of them: with it the run is
    complete, and only has to be put in its place.

    Args:
        final: the folder's place once the run is finished.

    Attributes:
        working: its place until then.
        checkpoints: in it, what an interrupted run goes on from; in a finished run's folder, the model's weights.
        weights: in it, the model's weights, until they take the place of `checkpoints`.
    """

    def __init__(self, final: Path):
        self.final = final
        self.working = final.with_name(final.name + _WORKING_SUFFIX)
        self.checkpoints = self.working / "checkpoints"
        self.weights = self.working / "weights"

    @property
    def complete(self) -> bool:
        """Whether all files of the working folder are there, as those of a run that was killed at its end."""
        return (self.working / METRICS).exists()

    @property
    def busy(self) -> bool:
        """Whether a process is training the run."""
        return folders.is_held(self.final)

    def check_unfinished(self, overwrite: bool) -> None:
        """Refuse to replace a finished run, unless told.

        Raises:
            InputError: the run is finished already.
        """
        folders.recover(self.final)
        self._check(overwrite)

    def _check(self, overwrite: bool) -> None:
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
        with ExitStack() as stack:
            try:
                stack.enter_context(folders.holding(self.final))
                self._check(overwrite)
                self.working.mkdir(exist_ok=True)
            except BusyError as error:
                raise InputError("another process is training this run", path=self.working) from error
            except OSError as error:
                raise InputError(f"--output_dir: cannot write there: {error.strerror}", path=self.working) from error
            try:
                yield
            except BaseException:
                if self.working.exists() and not (self.complete or (self.checkpoints / PROGRESS).exists()):
                    folders.discard(self.working, self.final)  # nothing to go on from
                raise

    def finish(self) -> None:
        """Put the working folder, complete, in its final place in the stead of an earlier one.

        The weights come in the place of the saved states. Killed, this is done again: with `metrics.json` there nothing
        reads the states any more, so that it does not matter how many of them are left.

        Raises:
            OSError: it cannot be renamed, or the states cannot be deleted.
        """
        if self.weights.exists():
            if self.checkpoints.exists():
                shutil.rmtree(self.checkpoints)
            self.weights.rename(self.checkpoints)
        folders.put(self.working, self.final)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the working folder whole or not at all."""
        folders.write_text(self.working / name, text)


def to_json(values: dict[str, Any]) -> str:
    """JSON text of metrics; numbers that are not finite become null."""
    return json.dumps(_finite(values), indent=2) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
