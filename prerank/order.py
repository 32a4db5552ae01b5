"""The best of many scores, in the order that is promised."""

import numpy as np

_BLOCK = 1 << 16


def best_first(scores: np.ndarray, n: int, left_out: np.ndarray | None = None) -> np.ndarray:
    """Positions of the `n` largest scores, largest first; of equal scores the first comes first, at the cut too.

    Args:
        scores: (N,) floats, none of them NaN.
        n: how many; all, if there are fewer.
        left_out: distinct positions that must not be among them.

    Returns:
        (n,) int64, or as many as are not left out.
    """
    if left_out is not None and len(left_out):
        scores = scores.copy()
        scores[left_out] = -np.inf
        n = min(n, len(scores) - len(left_out))
    if n >= len(scores):
        return np.argsort(-scores, kind="stable")
    if n <= 0:
        return np.empty(0, np.int64)
    least = np.partition(scores, len(scores) - n)[len(scores) - n]
    if least == -np.inf and left_out is not None:  # as low as what is left out
        positions = np.delete(np.arange(len(scores)), left_out)
        return positions[best_first(scores[positions], n)]
    enough = scores >= least
    if np.count_nonzero(enough) == n:
        return _sorted(scores, np.flatnonzero(enough))
    above = np.flatnonzero(scores > least)
    return np.concatenate([_sorted(scores, above), _first(scores, least, n - len(above))])


def _sorted(scores: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    return ascending[np.argsort(-scores[ascending], kind="stable")]


def _first(scores: np.ndarray, value: float, count: int) -> np.ndarray:
    """The first `count` positions of a value, in blocks, as those are often near the beginning."""
    found = []
    for start in range(0, len(scores), _BLOCK):
        here = np.flatnonzero(scores[start : start + _BLOCK] == value)[:count] + start
        found.append(here)
        count -= len(here)
        if not count:
            break
    return np.concatenate(found)
