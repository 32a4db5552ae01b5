"""What an index holds of its items."""

from dataclasses import dataclass, field

import numpy as np

from prerank.attributes import Attribute
from prerank.layout import StorageType
from prerank.storage import StoredArray


@dataclass(frozen=True)
class ItemStates:
    """What an index holds.

    Attributes:
        ids: (N,) int64 or strings.
        arrays: by name, (parts, N, width).
        dtype: how floats are stored.
        attributes: what else is known of the items, by name.
        removed: (R,) int64, ascending, places of items that are no longer there.
    """

    ids: np.ndarray
    arrays: dict[str, StoredArray]
    dtype: StorageType
    attributes: dict[str, Attribute] = field(default_factory=dict)
    removed: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        """How many items there are, without those that were taken out."""
        return len(self.ids) - len(self.removed)

    def take(self, rows: np.ndarray) -> "ItemStates":
        """The items (n,) at some places, in that order. What was taken out must not be among them, or all of it."""
        return ItemStates(
            self.ids[rows],
            {name: array.take(rows) for name, array in self.arrays.items()},
            self.dtype,
            {name: attribute.take(rows) for name, attribute in self.attributes.items()},
        )

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item's states."""
        return sum(array.bytes_per_item for array in self.arrays.values())
