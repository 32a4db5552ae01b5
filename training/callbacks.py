"""What happens at the end of an epoch."""

import time

import numpy as np
import tensorflow as tf

from models import PreRankingModel
from training import metrics
from training.batches import Batches
from training.distribution import Distribution
from training.progress import CheckpointStore, Progress
from training.rated import Rated
from training.selection import AUC, Value

_CONSTANT = 1e-6


def copy_weights(source: PreRankingModel, target: PreRankingModel) -> None:
    """Give `target` the weights of `source`, a model of the same class and options, on whatever devices they lie."""
    if target is not source:
        target.set_weights(source.get_weights())


def predict(model: tf.keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """The logits (n,) float32 of each row's probability of a positive, in inference mode."""
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

    Adds `val_auc`, `val_logloss`, the value that epochs are selected by, `examples_per_second` (training only,
    validation left out) and the model's own diagnostics to Keras's logs. Of several workers only the chief saves, and
    decides.

    Args:
        model: what is validated and saved: the model that is trained, or a plain copy to which its weights go.
        distribution: the workers.
        progress: state to go on from; updated.
        store: where the state is saved.
        validation: validation batches in order.
        rated: which of their rows have a label, and which.
        rows: training rows an epoch.
        patience: epochs without a better value before training stops.
        select_by: name of the value that says which epoch is the best.
        value: gives it; None for the AUC.
    """

    def __init__(
        self,
        model: PreRankingModel,
        distribution: Distribution,
        progress: Progress,
        store: CheckpointStore,
        validation: Batches,
        rated: Rated,
        rows: int,
        patience: int,
        select_by: str = AUC,
        value: Value | None = None,
    ):
        super().__init__()
        self._plain = model
        self._distribution = distribution
        self._progress = progress
        self._store = store
        self._validation = validation
        self._rated = rated
        self._rows = rows
        self._patience = patience
        self._selected = f"val_{select_by}"
        self._value = value
        self._begun = 0.0
        self._forward = tf.function(model.preference, reduce_retracing=True)

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._begun
        logs["examples_per_second"] = self._rows / seconds
        progress = self._progress
        progress.epochs = epoch + 1
        copy_weights(self.model, self._plain)
        logits = self._predict()
        progress.diverged = "the loss is not finite" if not np.isfinite(logs["loss"]) else divergence(logits)
        if not progress.diverged:
            self._judge(epoch, logits, logs)
        waited = epoch - progress.best_epoch
        progress.stopped = bool(progress.diverged) or (waited >= self._patience and self._plain.may_stop())
        progress.history.append({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}})
        if self._distribution.is_chief:
            self._store.save(progress)
        self.model.stop_training = progress.stopped = bool(self._distribution.gather(progress.stopped)[0])

    def _judge(self, epoch: int, logits: np.ndarray, logs: dict[str, float]) -> None:
        """Measure an epoch by its logits (n,) of the validation rows, and see whether it is the best so far."""
        progress = self._progress
        rated = logits[self._rated.rows]
        labels, weights = self._rated.labels, self._rated.weights
        logs["val_auc"] = metrics.auc(labels, rated, weights)
        probabilities = 1 / (1 + np.exp(-rated.astype(np.float64)))
        logs["val_logloss"] = metrics.log_loss(labels, probabilities, weights)
        if self._value is not None:
            logs[self._selected] = self._value(self._plain)
        if progress.best_epoch < 0 or logs[self._selected] > progress.best_auc:
            progress.best_epoch, progress.best_auc = epoch, logs[self._selected]
        if self._distribution.is_chief:
            logs.update(self._plain.diagnostics(self._validation.dataset()))

    def _predict(self) -> np.ndarray:
        """Logits (n,) float32 of every validation row; each worker computes its share of them and gets them all."""
        if self._distribution.replicas == 1:
            return predict(self._plain, self._validation.dataset())
        # Keras's own `predict` would use the strategy in whose scope `fit` calls this.
        share = self._distribution.evaluated
        parts = [self._forward(batch.features).numpy() for batch in self._validation.dataset(share=share)]
        logits = np.zeros(self._validation.rows, np.float32)
        logits[self._validation.positions(share)] = np.concatenate(parts)
        return self._distribution.total(logits)


class EpochEndOnAll(EpochEnd):
    """Saves after each epoch of a training on all rows: none is left to measure on, so the last epoch is kept.

    Its logits, of some training rows, show whether the training diverged, and nothing else.
    """

    def _judge(self, epoch: int, logits: np.ndarray, logs: dict[str, float]) -> None:
        self._progress.best_epoch = epoch

    def _predict(self) -> np.ndarray:
        return np.concatenate([self._forward(batch.features).numpy() for batch in self._validation.dataset().take(1)])
