"""One version of an item index, ready to score: everything that a request needs to agree with itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prerank import index
from prerank.index import ItemStates
from prerank.kernels import ArrayLayout, Kernel
from prerank.lookup import Lookup, lookup_of


@dataclass(frozen=True)
class Snapshot:
    """Item ids, states and where each id lies. It never changes; a request uses one from beginning to end.

    Attributes:
        version: the version's name.
        stamp: of the index when it was read.
        states: ids and memory-mapped states.
        lookup: finds the ids.
    """

    version: str
    stamp: tuple[int, int]
    states: ItemStates
    lookup: Lookup

    @classmethod
    def open(cls, folder: Path, fingerprint: str, layout: ArrayLayout | None = None) -> "Snapshot":
        """Read the current version of an index, of the model and the arrays that are expected.

        Raises:
            ArtefactError: see :func:`prerank.index.read`.
        """
        stamp = index.stamp(folder)  # before reading: a version that comes between is then picked up by the next look
        version, states = index.read(folder, fingerprint, layout)
        return cls(version, stamp, states, lookup_of(states.ids))

    def __len__(self) -> int:
        return len(self.states.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """Where each id lies (N,), -1 for one that is unknown."""
        return self.lookup.positions(ids)

    def ids(self, positions: np.ndarray) -> np.ndarray:
        """The ids (N,) at some positions: int64, or texts as objects."""
        found = self.states.ids[positions]
        return found if found.dtype.kind == "i" else found.astype(object)

    def score(self, kernel: Kernel, user: Any, positions: np.ndarray | None = None) -> np.ndarray:
        """Logits (N,) float32 of a prepared user for the items at some positions, or for all."""
        return self.answer(kernel, user, positions)[0]

    def answer(self, kernel: Kernel, user: Any, positions: np.ndarray | None = None) -> np.ndarray:
        """Logits as by :meth:`score` and, where the kernel has it, the logs of probabilities, (outputs, N) float32."""
        count = len(self) if positions is None else len(positions)
        scores = np.empty((kernel.outputs, count), np.float32)
        order = None
        if positions is not None and len(positions) > 1:
            # reads go forward through the file, and FIT's items of one query stay together
            order = np.argsort(positions)
            positions = positions[order]
        for start in range(0, count, kernel.chunk):
            span = slice(start, min(start + kernel.chunk, count))
            rows = span if positions is None else positions[span]
            items = {name: array.read(rows) for name, array in self.states.arrays.items()}
            scores[:, span] = kernel.score(user, items)
        if order is None:
            return scores
        unordered = np.empty_like(scores)
        for row, of_row in zip(unordered, scores, strict=True):  # several times as fast as both axes at once
            row[order] = of_row
        return unordered
