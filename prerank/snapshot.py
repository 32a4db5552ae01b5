"""One version of an item index, ready to score: everything that a request needs to agree with itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prerank import filters, index
from prerank.calibration import Probabilities
from prerank.errors import RequestError
from prerank.item_states import ItemStates
from prerank.kernels import ArrayLayout, Kernel, of_probability
from prerank.lookup import Lookup, lookup_of

_PLAIN = Probabilities()


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

    @property
    def number(self) -> int:
        """The version's number."""
        return int(self.version.removeprefix("v") or 0)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def removed(self) -> np.ndarray:
        """(R,) ascending places of items that were taken out."""
        return self.states.removed

    @cached_property
    def _is_removed(self) -> np.ndarray:
        found = np.zeros(len(self.states.ids), bool)
        found[self.removed] = True
        return found

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """Where each id lies (N,), -1 for one that is unknown or was taken out."""
        found = self.lookup.positions(ids)
        if len(self.removed):
            found[(found >= 0) & np.take(self._is_removed, found)] = -1
        return found

    def meeting(self, wanted: Mapping[str, Any], positions: np.ndarray | None) -> np.ndarray | None:
        """The ascending positions, of some or of all, whose items meet a filter; None for all without exception.

        Raises:
            RequestError: the filter is wrong; see :func:`prerank.filters.mask`.
        """
        found = filters.mask(self.states.attributes, wanted, len(self.states.ids))
        if positions is not None:
            return positions[np.take(found, positions)]
        if found.all():
            return None
        if len(self.removed):
            found &= ~self._is_removed
        return np.flatnonzero(found)

    def numbers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A numeric attribute: its distinct values (K,) float32, 0 where one is missing, and each item's place (N,).

        Raises:
            RequestError: there is no such attribute, or it has texts or lists.
        """
        attribute = filters.attribute_of(self.states.attributes, name, "value")
        if attribute.kind == "text" or attribute.offsets is not None:
            raise RequestError(
                f"value: expected an attribute with one number an item. Received: {name!r}", field="value"
            )
        return attribute.numbers(), attribute.codes

    def ids(self, positions: np.ndarray) -> np.ndarray:
        """The ids (N,) at some positions: int64, or texts as objects."""
        found = self.states.ids[positions]
        return found if found.dtype.kind == "i" else found.astype(object)

    def score(self, kernel: Kernel, user: Any, positions: np.ndarray | None = None) -> np.ndarray:
        """Logits (N,) float32 of a prepared user for the items at some positions, or for all."""
        return self.answer(kernel, user, positions)[0]

    def answer(
        self,
        kernel: Kernel,
        user: Any,
        positions: np.ndarray | None = None,
        value: tuple[np.ndarray, np.ndarray] | None = None,
        probabilities: Probabilities = _PLAIN,
    ) -> np.ndarray:
        """Logits as by :meth:`score` and what else the kernel gives, (outputs, N) float32.

        Args:
            kernel: the scorer.
            user: what it prepared.
            positions: (N,) which items, or None for all.
            value: from :meth:`numbers`; there is then a last row of probability times value.
            probabilities: of logits; by default not calibrated.
        """
        return self.answers(kernel, [user], positions, value, probabilities)[0]

    def answers(
        self,
        kernel: Kernel,
        users: Sequence[Any],
        positions: np.ndarray | None = None,
        value: tuple[np.ndarray, np.ndarray] | None = None,
        probabilities: Probabilities = _PLAIN,
    ) -> np.ndarray:
        """As :meth:`answer`, of several users, (U, outputs, N) float32 and equal to the last bit.

        Items are read, and small storage types converted, once for all users.
        """
        count = len(self.states.ids) if positions is None else len(positions)
        scores = np.empty((len(users), kernel.outputs + (value is not None), count), np.float32)
        order = None
        if positions is not None and len(positions) > 1:
            # reads go forward through the file, and FIT's items of one query stay together
            order = np.argsort(positions)
            positions = positions[order]
        for start in range(0, count, kernel.chunk):
            span = slice(start, min(start + kernel.chunk, count))
            rows = span if positions is None else positions[span]
            items = {name: array.read(rows) for name, array in self.states.arrays.items()}
            worth = None if value is None else np.take(value[0], value[1][rows])
            for user, of_user in zip(users, scores, strict=True):
                of_user[: kernel.outputs, span] = kernel.score(user, items)
                if worth is not None:
                    of_user[-1, span] = probabilities.of(*of_user[: of_probability(kernel), span])
                    of_user[-1, span] *= worth
        if order is None:
            return scores
        unordered = np.empty_like(scores)
        rows_of = (array.reshape(-1, count) for array in (unordered, scores))
        for row, of_row in zip(*rows_of, strict=True):  # several times as fast as all axes at once
            row[order] = of_row
        return unordered
