"""What a training has reached, on disk after every epoch, so that a killed run goes on from there."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf

from prerank import folders
from prerank.errors import InputError
from prerank.reading import read_record
from training.run_folder import PROGRESS

_HELP = "Delete the run's .partial folder to train from the beginning"


@dataclass
class Progress:
    """The state of a training after a number of epochs.

    Attributes:
        epochs: epochs trained.
        best_epoch: 0-based epoch with the best value on the validation part so far, -1 before the first.
        best_auc: that value, the AUC unless `--select_by` names another; the name is that of older files.
        stopped: training has ended, early or not.
        diverged: why the run counts as diverged, or empty.
        history: a row per epoch.
    """

    epochs: int = 0
    best_epoch: int = -1
    best_auc: float = 0.0
    stopped: bool = False
    diverged: str = ""
    history: list[dict[str, int | float]] = field(default_factory=list)


class CheckpointStore:
    """Weights, optimizer state and :class:`Progress` in one folder; the last and the best epoch are kept.

    `progress.json` is replaced last and names the epochs that count, so a kill at any time leaves a whole state.

    Args:
        folder: where the files go.
        model: its weights are saved; built.
        optimizer: its variables are saved; built.
        beside: variables that are trained with the model, and are no part of it.
    """

    def __init__(
        self,
        folder: Path,
        model: tf.keras.Model,
        optimizer: tf.keras.optimizers.Optimizer,
        beside: Sequence[tf.Variable] = (),
    ):
        self._folder = folder
        named = {f"beside_{place}": variable for place, variable in enumerate(beside)}
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **named)

    def save(self, progress: Progress) -> None:
        """Make `progress`, with the present weights as those of its last epoch, the state to go on from.

        Raises:
            OSError: the weights cannot be written.
        """
        last = progress.epochs - 1
        try:
            self._checkpoint.write(str(self._epoch_folder(last) / "state"))
        except tf.errors.OpError as error:
            shutil.rmtree(self._epoch_folder(last), ignore_errors=True)
            raise OSError(f"the weights of epoch {last + 1} cannot be saved: {error.message}") from error
        folders.sync(self._epoch_folder(last))
        folders.write_text(self._folder / PROGRESS, json.dumps(asdict(progress)))
        kept = {self._epoch_folder(last), self._epoch_folder(progress.best_epoch)}
        for folder in set(self._folder.glob("epoch-*")) - kept:
            shutil.rmtree(folder)

    def restore(self) -> Progress:
        """Load the saved state into model and optimizer; a fresh :class:`Progress` if there is none.

        Raises:
            InputError: what was saved is damaged.
        """
        file = self._folder / PROGRESS
        if not file.exists():
            return Progress()
        progress = read_record(file, Progress, constants=True)
        if not -1 <= progress.best_epoch < progress.epochs or len(progress.history) != progress.epochs:
            raise InputError(f"damaged: its epochs do not fit together. {_HELP}", path=file)
        try:
            self._read(progress.epochs - 1).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise InputError(f"the weights of epoch {progress.epochs} cannot be read. {_HELP}", path=file) from error
        return progress

    def restore_best(self, progress: Progress) -> None:
        """Load the weights of the best epoch."""
        if progress.best_epoch >= 0:
            self._read(progress.best_epoch).expect_partial()

    def _read(self, epoch: int):
        return self._checkpoint.read(str(self._epoch_folder(epoch) / "state"))

    def _epoch_folder(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}"
