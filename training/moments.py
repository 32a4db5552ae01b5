"""The optimizer's moments beside a run's weights, for the run that begins where it ended."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from prerank import folders
from prerank.errors import InputError
from training.optimizer import LazyAdam

FILE = "optimizer.npz"
"""Beside the weights: `iterations`, and of weight k of the model `m_k` and `v_k`, of its shape."""


@dataclass(frozen=True)
class Moments:
    """What Adam knows of a model's trained weights.

    Attributes:
        iterations: steps so far.
        first, second: both moments of each weight, in the model's order.
    """

    iterations: int
    first: Sequence[np.ndarray]
    second: Sequence[np.ndarray]

    @classmethod
    def of(cls, optimizer: tf.keras.optimizers.Optimizer, count: int) -> "Moments":
        """Those of the first `count` variables that an optimizer was built for: the model's own."""
        adam = inner(optimizer)
        first, second = ([moment.numpy() for moment in moments[:count]] for moments in adam.moments)
        return cls(int(adam.iterations.numpy()), first, second)

    def give(self, optimizer: tf.keras.optimizers.Optimizer) -> None:
        """Let an optimizer go on from these; what it was built for beyond them begins anew."""
        adam = inner(optimizer)
        adam.iterations.assign(self.iterations)
        for values, variables in zip((self.first, self.second), adam.moments, strict=True):
            for value, variable in zip(values, variables, strict=False):
                variable.assign(value)

    def write(self, folder: Path) -> None:
        """Write :data:`FILE`, whole or not at all."""
        arrays: dict[str, Any] = {f"m_{place}": value for place, value in enumerate(self.first)}
        arrays |= {f"v_{place}": value for place, value in enumerate(self.second)}
        content = io.BytesIO()
        np.savez(content, iterations=np.int64(self.iterations), **arrays)
        folders.write_bytes(folder / FILE, content.getvalue())

    @classmethod
    def read(cls, folder: Path, weights: Sequence[tf.Variable], option: str) -> "Moments | None":
        """What :meth:`write` wrote; None if the run kept none.

        Args:
            folder: of the run's weights.
            weights: the trained weights of its model, whose shapes they have.
            option: the flag that names the run.

        Raises:
            InputError: the file is damaged, or of other weights.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as found:
                parts = [[found[f"{kind}_{place}"] for place in range(len(weights))] for kind in "mv"]
                iterations = int(found["iterations"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{option}: the optimizer's moments cannot be read: {error}", path=path) from error
        for part in parts:
            for value, weight in zip(part, weights, strict=True):
                if value.shape != tuple(weight.shape) or not np.isfinite(value).all():
                    raise InputError(f"{option}: the optimizer's moments are not those of the weights", path=path)
        return cls(iterations, *parts)


def inner(optimizer: tf.keras.optimizers.Optimizer) -> LazyAdam:
    """The optimizer itself, where one for half precision is around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)
