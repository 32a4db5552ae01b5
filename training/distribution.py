"""Which devices and processes train one model together: `--strategy`."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

import models
from models import PreRankingModel
from prerank.errors import InputError
from training.batches import Batches, Plan, Share
from training.cluster import Cluster
from training.options import RunOptions

_MULTI_WORKER = "multi_worker"
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


class WorkerLostError(RuntimeError):
    """Another worker of the training has ended, or cannot be reached any more."""


@dataclass(frozen=True)
class Distribution:
    """The replicas that train one model, and this process's place among them.

    A replica is a device that trains on its slice of every batch; a worker is a process with one replica or more. All
    workers have to make the same calls in the same order: of :meth:`total` and what is made of it, of training steps,
    and of reading the weights of a replicated model.

    Attributes:
        strategy: what makes variables and runs steps on all replicas.
        worker: this process's number; number 0 is the chief, which is the only one that writes.
        names: the names of all workers.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)
    worker: int = 0
    names: tuple[str, ...] = ("worker 0",)

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self.names)

    @property
    def replicas(self) -> int:
        """How many replicas all workers have together."""
        return self.strategy.num_replicas_in_sync

    @property
    def evaluated(self) -> Share:
        """The rows of every batch that this worker evaluates."""
        return Share(range(self.worker, self.worker + 1), self.workers)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes run folder, checkpoints and results."""
        return self.worker == 0

    def replicated(self, model: PreRankingModel, build: Callable[[], PreRankingModel]) -> PreRankingModel:
        """The model to train in the stead of `model`: itself, or one like it with its variables on all replicas."""
        if self.replicas == 1:
            return model
        with self.strategy.scope():
            copy = build()
        copy.distribute_reduction_method = "first"  # its metrics are sums over the replicas already
        return copy

    def dataset(self, batches: Batches, first_epoch: int, plan: Plan | None):
        """What Keras trains on: the batches, or every replica's slices of them, epoch after epoch."""
        if self.replicas == 1:
            return batches.dataset(first_epoch, plan)
        local = self.replicas // self.workers
        share = Share(range(self.worker * local, (self.worker + 1) * local), self.replicas)
        return self.strategy.distribute_datasets_from_function(
            lambda _: batches.dataset(first_epoch, plan, share).repeat()
        )

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over the workers of arrays of one shape."""
        if self.workers == 1:
            return values
        return np.asarray(self.strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(values), axis=None))

    def gather(self, value: float) -> list[float]:
        """The values of all workers, in the order of their numbers."""
        return self.total(np.where(np.arange(self.workers) == self.worker, float(value), 0.0)).tolist()

    def wait(self) -> None:
        """Return once every worker has come here."""
        self.gather(0.0)

    def check_equal(self, value: float, otherwise: str) -> None:
        """Check that all workers come with the same value.

        Raises:
            InputError: on every worker, with what `otherwise` says of those that differ from the chief.
        """
        values = self.gather(value)
        if others := [name for name, found in zip(self.names, values, strict=True) if found != values[0]]:
            raise InputError(f"--strategy {_MULTI_WORKER}: {', '.join(others)} {otherwise}")

    def check_rows(self, training: Batches, validation: Batches) -> None:
        """Check that no replica gets an empty slice of a training batch, nor a worker one of a validation batch.

        Raises:
            InputError: there are more of them than rows.
        """
        smallest = training.units // len(training)
        if smallest < self.replicas:
            unit = "rows" if training.units == training.rows else "lists"
            raise InputError(f"--batch_size: batches of {smallest} {unit} are too small for {self.replicas} replicas")
        if validation.rows // len(validation) < self.workers:
            raise InputError(f"the validation part has {validation.rows} rows, too few for {self.workers} workers")

    @contextmanager
    def chief_first(self) -> Iterator[None]:
        """The other workers run the block after the chief has."""
        if not self.is_chief:
            self.wait()
        yield
        if self.is_chief:
            self.wait()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn what TensorFlow raises when another worker ends into :class:`WorkerLostError`."""
        try:
            yield
        except _LOST as error:
            if self.workers == 1:
                raise
            lost = self._others_named(str(error)) or ["another worker"]
            raise WorkerLostError(
                f"{' and '.join(lost)} ended or cannot be reached: see what it printed last, then start all workers "
                "again with the same commands; they go on from the last whole epoch"
            ) from error

    def _others_named(self, text: str) -> list[str]:
        """The names of the other workers that a message of TensorFlow mentions."""
        found = re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", text)
        return sorted({f"{job} {index}" for job, index in found} & set(self.names) - {self.names[self.worker]})


def check_strategy(options: RunOptions) -> None:
    """Check, before anything is computed, that `--strategy` can be had.

    Raises:
        InputError: the model is not trained by gradient steps, or TF_CONFIG does not describe workers.
    """
    if options.strategy == "single":
        return
    if models.get(options.model_name).model.fit_directly is not PreRankingModel.fit_directly:
        raise InputError(
            f"--strategy {options.strategy}: {options.model_name} is not trained by gradient steps, so replicas cannot "
            "share its training. Expected: --strategy single"
        )
    if options.strategy == _MULTI_WORKER:
        Cluster.from_environment()


def connect(options: RunOptions, report: Callable[[str], object]) -> Distribution:
    """Make the replicas that `--strategy` asks for; waits until all workers are there.

    Has to come before TensorFlow computes anything.

    Raises:
        InputError: TF_CONFIG does not describe workers, or its address for this one cannot be listened on.
        WorkerLostError: the workers did not find each other.
    """
    if options.strategy == "single":
        return Distribution()
    if options.strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(devices) == 1:
            report(f"--strategy mirrored: {devices[0].name} is the only device, so this trains as --strategy single")
            return Distribution()
        return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))
    cluster = Cluster.from_environment()
    report(f"{cluster.names[cluster.worker]}: waiting for all {len(cluster.names)} workers")
    return Distribution(tf.distribute.MultiWorkerMirroredStrategy(), cluster.worker, cluster.names)
