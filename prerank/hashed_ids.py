"""The hash of ids that have no vocabulary: in integers, so the same in SQL, NumPy, TensorFlow and Python.

Imports nothing, so that everything can import it. :mod:`preprocess.hashing` has the same in Ibis expressions.
"""

from __future__ import annotations

from typing import TypeVar

MASK = (1 << 32) - 1
MULTIPLIERS = (0x7FEB352D, 0x45D9F3B5)
"""Below 2^31, so that no product of one and a word of 32 bits reaches 2^63."""
SPREAD = 0x9E3779B1
"""Takes small salts far apart: their XOR must not be a difference that keys have too."""
SALT = 601
CHARACTERS = 64
"""How many characters of a text count."""

Word = TypeVar("Word")


def start(salt: int) -> int:
    """What a hash begins with."""
    return salt * SPREAD & MASK


def hashed(word: Word) -> Word:
    """The hash, 0 .. 2^32 - 1, of an integer of 64 bits or of an array or a tensor (int64) of them.

    Each half of 32 bits goes through a multiply-xorshift round, and the whole through two more: the scheme of
    MurmurHash3's finaliser. Written with `//`, which rounds down, as tensors have no shift operator.
    """
    halves = (word & MASK, (word // (1 << 32)) & MASK)  # type: ignore[operator]
    state = start(SALT)
    for half in halves:
        state = ((half ^ state) * MULTIPLIERS[0]) & MASK
        state = state ^ (state // (1 << 15))
    for multiplier in MULTIPLIERS:
        state = (state * multiplier) & MASK
        state = state ^ (state // (1 << 16))
    return state  # type: ignore[return-value]


COEFFICIENTS = tuple(hashed(place) for place in range(CHARACTERS))
"""A text's word is the sum of its characters' code points times these: below 2^59, the same in every order."""
