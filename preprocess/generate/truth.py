"""The truth behind generated requests: the probability that a user clicks an item which is shown at the first place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from preprocess.generate._request_world import World, all_log_odds
from prerank.array_files import read_npz
from prerank.errors import InputError

FILE = "truth.npz"
_SHAPES = {
    "user_ids": 1,
    "item_ids": 1,
    "user_vectors": 2,
    "item_vectors": 2,
    "quality": 1,
    "popularity": 1,
    "offset": 0,
}


@dataclass(frozen=True)
class Truth:
    """What is known of a generated world.

    Attributes:
        user_ids, item_ids: raw ids, rising. Shapes (users,), (items,), int64.
        user_vectors, item_vectors: whose product is the affinity. Shapes (users, d), (items, d), float64.
        quality: what all users like of an item, of mean 0 and variance 1. Shape (items,), float64.
        popularity: what the logging policy likes besides, of mean 0 and variance 1. Shape (items,), float64.
        offset: of the log odds.
    """

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    user_vectors: NDArray[np.float64]
    item_vectors: NDArray[np.float64]
    quality: NDArray[np.float64]
    popularity: NDArray[np.float64]
    offset: float

    @classmethod
    def of(cls, world: World) -> Truth:
        """That of a world, whose ids begin with 1."""
        users, items = (np.arange(1, len(vectors) + 1) for vectors in (world.user_vectors, world.item_vectors))
        return cls(users, items, world.user_vectors, world.item_vectors, world.quality, world.popularity, world.offset)

    @classmethod
    def load(cls, folder: Path) -> Truth:
        """Read what :meth:`save` has written to a generated folder.

        Raises:
            InputError: the folder is none, or the file is damaged.
        """
        path = Path(folder) / FILE
        arrays = read_npz(path)
        for name, dimensions in _SHAPES.items():
            if name not in arrays or arrays[name].ndim != dimensions:
                raise InputError(f"damaged: no {name} of {dimensions} dimensions", path=path)
        offset = float(arrays["offset"])
        return cls(**{name: arrays[name] for name in _SHAPES if name != "offset"}, offset=offset)

    def save(self, folder: Path) -> None:
        """Write the file `truth.npz`."""
        np.savez(folder / FILE, **{name: np.asarray(getattr(self, name)) for name in _SHAPES})

    def probabilities(self, user_ids: ArrayLike, item_ids: ArrayLike) -> NDArray[np.float64]:
        """p(click | shown at the first place) of all pairs.

        Args:
            user_ids: raw ids. Shape (U,).
            item_ids: raw ids. Shape (I,).

        Returns:
            Shape (U, I), float64.

        Raises:
            InputError: an id is none of the world's.
        """
        users = _places(self.user_ids, np.asarray(user_ids), "user")
        items = _places(self.item_ids, np.asarray(item_ids), "item")
        log_odds = all_log_odds(self.user_vectors[users], self.item_vectors[items], self.quality[items], self.offset)
        return expit(log_odds)


def _places(known: NDArray[np.int64], ids: NDArray, what: str) -> NDArray[np.int64]:
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    if (unknown := known[places] != ids).any():
        raise InputError(f"the generated world has no {what} {ids[unknown][0]}")
    return places
