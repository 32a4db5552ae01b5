"""Random numbers by counter: each is a function of a seed, a stream and a place, whatever is drawn beside it.

So a data set can be drawn in pieces of any size, in any order, and is the same. The mixing function is that of
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_STEP = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Counters:
    """Streams of random numbers of one seed.

    Attributes:
        seed: 0 or more.
    """

    seed: int

    def uniform(self, stream: str, places: NDArray[np.integer]) -> NDArray[np.float64]:
        """Uniform numbers in (0, 1), one a place; streams of different names are independent."""
        key = hashlib.blake2b(f"{self.seed}/{stream}".encode(), digest_size=8).digest()
        bits = places.astype(np.uint64) * np.uint64(_STEP) + np.uint64(int.from_bytes(key, "little"))
        for shift, multiplier in _ROUNDS:
            bits ^= bits >> np.uint64(shift)
            bits *= np.uint64(multiplier)
        bits ^= bits >> np.uint64(31)
        return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, stream: str, places: NDArray[np.integer]) -> NDArray[np.float64]:
        """Standard normal numbers, one a place."""
        return ndtri(self.uniform(stream, places))
