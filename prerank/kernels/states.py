"""What kernels have in common."""

from collections.abc import Mapping

import numpy as np

_FLOOR = 1e-3
"""Least length of a vector that is scaled to length 1, as in `layers.vectors`."""


def only(states: Mapping[str, np.ndarray]) -> np.ndarray:
    """The value of a state of one part."""
    (value,) = states.values()
    return value


def norm(vectors: np.ndarray) -> np.ndarray:
    """Euclidean norms (...,) of vectors (..., D), at least 1e-3."""
    return np.sqrt(np.maximum(row_products(vectors, vectors), np.float32(_FLOOR**2)))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) scaled to length 1."""
    return vectors / norm(vectors)[..., np.newaxis]


def row_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products (...,) of vectors (..., D), row by row."""
    return np.einsum("...d,...d->...", left, right)
