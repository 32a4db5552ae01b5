"""FIT's user, who has a state per meta query."""

from collections.abc import Mapping
from typing import Any

import numpy as np

META_INDEX = "meta_index"
"""The array with each item's meta query; an index keeps its items sorted by it."""
_STATE = "item_meta_index"


def is_meta_index(name: str) -> bool:
    """Whether an array of an index is :data:`META_INDEX`, or that of one of several tasks."""
    return name == META_INDEX or name.startswith(f"{META_INDEX}_")


class MetaQuery:
    """The scorer of heads, with each item meeting the user's state for the item's own meta query.

    FIT (Xiong et al., SIGIR 2025, arXiv 2509.12948), serving. Items sorted by their meta query form runs that all meet
    one state, so that no user state is gathered or copied. Without the meta query module there is one state.

    Args:
        heads: the kernel of one state.
    """

    outputs = 1
    chunk = 1 << 14

    def __init__(self, heads: Any):
        self._heads = heads

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        arranged = self._heads.arrange({name: value for name, value in states.items() if name != _STATE})
        if _STATE in states:
            arranged[META_INDEX] = states[_STATE].reshape(1, -1, 1)
        return arranged

    def prepare(self, user: Mapping[str, np.ndarray]) -> list[Any]:
        names = list(user)
        return [self._heads.prepare(dict(zip(names, state, strict=True))) for state in zip(*user.values(), strict=True)]

    def score(self, user: list[Any], items: Mapping[str, np.ndarray]) -> np.ndarray:
        arrays = {name: values for name, values in items.items() if name != META_INDEX}
        count = next(iter(arrays.values())).shape[1]
        chosen = items[META_INDEX][0, :, 0] if META_INDEX in items else np.zeros(count, np.int32)
        scores = np.empty(count, np.float32)
        if (np.diff(chosen) < 0).any():  # of several tasks, the items are sorted by the query of one
            order = np.argsort(chosen, kind="stable")
            ordered = {name: np.take(values, order, axis=1) for name, values in items.items()}
            scores[order] = self.score(user, ordered)
            return scores
        edges = [0, *(np.flatnonzero(np.diff(chosen)) + 1).tolist(), count]
        for start, stop in zip(edges, edges[1:], strict=False):
            for first in range(start, stop, self._heads.chunk):
                rows = slice(first, min(first + self._heads.chunk, stop))
                part = {name: values[:, rows] for name, values in arrays.items()}
                scores[rows] = self._heads.score(user[chosen[first]], part)
        return scores
