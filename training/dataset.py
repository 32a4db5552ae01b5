"""Packed batches as a `tf.data.Dataset` of typed batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from models.batch import Batch
from training.packing import Layout, Rows


@dataclass(frozen=True)
class Share:
    """The rows of every batch that one process computes: those of its replicas, one replica after another.

    Attributes:
        replicas: the numbers of its replicas.
        count: how many replicas all processes have.
    """

    replicas: range
    count: int

    def bounds(self, rows: int) -> list[tuple[int, int]]:
        """Where the slice of each of its replicas begins and ends in a batch of `rows`; slices differ by at most 1."""
        return [(rows * number // self.count, rows * (number + 1) // self.count) for number in self.replicas]


class Plan(Protocol):
    """Plans the look-ups of a batch from its features by name; runs beside the training step."""

    @property
    def signature(self) -> Mapping[str, tf.TensorSpec]:
        """The plan's names, types and shapes."""

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The plan of a batch."""


class Assembled(NamedTuple):
    """What is put together of a slice of a batch beside its rows; arrays as in :class:`models.batch.Batch`.

    Attributes:
        integers, floats: packed fields of the drawn items' side, int32 (D, W) and float32 (D, F).
        task_labels: (R, T) float32; T is 0 for one task.
    """

    integers: np.ndarray
    floats: np.ndarray
    users: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    teacher: np.ndarray
    stages: np.ndarray
    log_q: np.ndarray
    lists: np.ndarray
    task_labels: np.ndarray


class Assembly(Protocol):
    """Draws candidates and makes lists; runs beside the training step.

    Attributes:
        item_layout: of the packed fields of drawn items.
        takes_unmasked: whether rows come with their ids before masking too, see :class:`training.batches.Batches`.
    """

    item_layout: Layout
    takes_unmasked: bool

    def labelled(self, rows: Rows) -> np.ndarray:
        """How much each row (n,) counts in a loss over labels: its weight, 0 without a label."""

    def bounds(self, rows: Rows, share: Share) -> list[tuple[int, int]]:
        """Where the slice of each replica of a share begins and ends in a batch, none of which cuts a list."""

    def __call__(self, rows: Rows, key: tuple[int, ...]) -> Assembled:
        """What goes with a slice of a batch; a function of the slice and of `key`, which no other slice has."""


class Source(Protocol):
    """Packed batches of epochs, as :class:`training.batches.Batches` gives them."""

    layout: Layout
    seed: int
    assembly: Assembly | None

    def __len__(self) -> int: ...

    def epoch(self, number: int) -> Iterator[Rows]:
        """Packed batches of epoch `number`."""


def as_dataset(source: Source, first_epoch: int, plan: Plan | None, share: Share) -> tf.data.Dataset:
    """Batches of rows, or of what is put together of them; see :meth:`training.batches.Batches.dataset`."""
    assembly = source.assembly
    numbers = iter(range(first_epoch, 1 << 31))

    def epoch() -> Iterator[tuple]:
        number = next(numbers)
        for step, batch in enumerate(source.epoch(number)):
            bounds = share.bounds(len(batch[0])) if assembly is None else assembly.bounds(batch, share)
            for replica, (start, stop) in zip(share.replicas, bounds, strict=True):
                part = (batch[0][start:stop], batch[1][start:stop])
                found = () if assembly is None else assembly(part, (source.seed, number, step, replica))
                shares = _shares(batch, assembly, start, stop)
                ids = part[0][:, : source.layout.width]
                yield ids, part[1], found, _planned(source, plan, part, found), shares

    dataset = tf.data.Dataset.from_generator(epoch, output_signature=_signature(source, plan))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(source) * len(share.replicas)))
    # Nothing here is tuned, and the tuner's thread, asleep for up to a minute, would hold up the end of each epoch.
    options = tf.data.Options()
    options.autotune.enabled = False

    def unpack(integers: tf.Tensor, floats: tf.Tensor, found: Any, planned: dict, shares: tf.Tensor) -> Batch:
        features, labels = source.layout.unpack(integers, floats)
        if assembly is None:
            return Batch.of_rows(features, labels, planned, shares[0])
        features = _with_drawn(features, assembly.item_layout.fields(found.integers, found.floats))
        further = {name: part for name, part in found._asdict().items() if name in Batch._fields}
        return Batch(features=features, plan=planned, share=shares[0], labelled_share=shares[1], **further)

    return dataset.map(unpack).prefetch(4).with_options(options)


def _shares(batch: Rows, assembly: Assembly | None, start: int, stop: int) -> np.ndarray:
    """Of a slice of a batch, its share of the rows, and of what counts in a loss over labels, (2,) float32."""
    of_rows = (stop - start) / len(batch[0])
    counted = None if assembly is None else assembly.labelled(batch)
    if counted is None or not counted.any():
        return np.array([of_rows, of_rows], np.float32)
    return np.array([of_rows, counted[start:stop].sum() / counted.sum()], np.float32)


def _planned(source: Source, plan: Plan | None, rows: Rows, found: Any) -> dict[str, np.ndarray]:
    if plan is None:
        return {}
    features = source.layout.fields(*rows)
    if source.assembly is not None:
        for name, values in source.assembly.item_layout.fields(found.integers, found.floats).items():
            features[name] = np.concatenate([features[name], values])
    return plan(features)


def _with_drawn(features: dict[str, tf.Tensor], drawn: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The features with those of drawn items after the rows' own."""
    return features | {name: tf.concat([features[name], values], axis=0) for name, values in drawn.items()}


def _signature(source: Source, plan: Plan | None) -> tuple:
    integers, floats = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)
    layout, assembly = source.layout, source.assembly
    found: Any = ()
    if assembly is not None:
        places = tf.TensorSpec([None], tf.int32)
        found = Assembled(
            integers=tf.TensorSpec([None, assembly.item_layout.width], tf.int32),
            floats=tf.TensorSpec([None, len(assembly.item_layout.dense)], tf.float32),
            users=places,
            items=places,
            labels=floats,
            weights=floats,
            teacher=floats,
            stages=places,
            log_q=floats,
            lists=integers,
            task_labels=tf.TensorSpec([None, None], tf.float32),
        )
    return (
        tf.TensorSpec([None, layout.width], tf.int32),
        tf.TensorSpec([None, len(layout.dense) + 1], tf.float32),
        found,
        {} if plan is None else dict(plan.signature),
        tf.TensorSpec([2], tf.float32),
    )
