"""What happens at the end of an epoch."""

import time

import numpy as np
import tensorflow as tf

from training import metrics
from training.progress import CheckpointStore, Progress

_CONSTANT = 1e-6


def predict(model: tf.keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Logits (n,) float32 of every row, in inference mode."""
    return model.predict(batches, verbose=0).reshape(-1)


def divergence(logits: np.ndarray) -> str:
    """Why predictions show that a training diverged, or an empty text."""
    if not np.isfinite(logits).all():
        return "predictions are not finite"
    if len(logits) > 1 and float(np.ptp(logits)) < _CONSTANT:
        return "predictions are constant"
    return ""


class EpochEnd(tf.keras.callbacks.Callback):
    """Validates on the whole validation part, saves, and stops early once the model lets it.

    Adds `val_auc`, `val_logloss`, `examples_per_second` (training alone, validation left out) and the model's own
    diagnostics to Keras's logs.

    Args:
        progress: state to go on from; updated.
        store: where the state is saved.
        validation: validation batches in order.
        labels: their labels (n,).
        rows: training rows an epoch.
        patience: epochs without a better AUC before training stops.
    """

    def __init__(
        self,
        progress: Progress,
        store: CheckpointStore,
        validation: tf.data.Dataset,
        labels: np.ndarray,
        rows: int,
        patience: int,
    ):
        super().__init__()
        self._progress = progress
        self._store = store
        self._validation = validation
        self._labels = labels
        self._rows = rows
        self._patience = patience
        self._begun = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._begun
        logs["examples_per_second"] = self._rows / seconds
        progress = self._progress
        progress.epochs = epoch + 1
        logits = predict(self.model, self._validation)
        progress.diverged = "the loss is not finite" if not np.isfinite(logs["loss"]) else divergence(logits)
        if not progress.diverged:
            logs["val_auc"] = metrics.auc(self._labels, logits)
            logs["val_logloss"] = metrics.log_loss(self._labels, 1 / (1 + np.exp(-logits.astype(np.float64))))
            if progress.best_epoch < 0 or logs["val_auc"] > progress.best_auc:
                progress.best_epoch, progress.best_auc = epoch, logs["val_auc"]
            logs.update(self.model.diagnostics(self._validation))
        waited = epoch - progress.best_epoch
        progress.stopped = bool(progress.diverged) or (waited >= self._patience and self.model.may_stop())
        progress.history.append({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}})
        self._store.save(progress)
        self.model.stop_training = progress.stopped
