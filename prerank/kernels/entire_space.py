"""The entire-space factorisation of any scorer: what is liked of what is shown, and what is shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_USER, _ITEM = "user_exposure", "item_exposure"
_VECTORS, _BIASES = "exposure", "exposure_bias"
_ZERO, _ONE, _MINUS_ONE = (np.float32(number) for number in (0, 1, -1))


class EntireSpace:
    """`log σ(inner score) + <u, v> + b`, and the first term by itself, the log of the probability of a positive.

    The bias has an array of its own, as it is much larger than the vector's numbers: an int8 row has one scale.

    Args:
        inner: the kernel of the preference.
    """

    outputs = 2

    def __init__(self, inner: Any):
        self._inner = inner
        self.chunk: int = inner.chunk

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        arranged = self._inner.arrange({name: value for name, value in states.items() if name != _ITEM})
        exposure = states[_ITEM][np.newaxis]
        return {**arranged, _VECTORS: exposure[..., :-1], _BIASES: exposure[..., -1:]}

    def prepare(self, user: Mapping[str, np.ndarray]) -> tuple[Any, np.ndarray]:
        return self._inner.prepare({name: value for name, value in user.items() if name != _USER}), user[_USER]

    def score(self, user: tuple[Any, np.ndarray], items: Mapping[str, np.ndarray]) -> np.ndarray:
        of_inner, exposure = user
        biases = items[_BIASES]
        found = np.empty((2, biases.shape[1]), np.float32)
        logits, log_probabilities = found
        log_sigmoid(self._inner.score(of_inner, items), log_probabilities)  # an inner kernel takes its arrays by name
        np.matmul(items[_VECTORS][0], exposure, out=logits)
        logits += biases[0, :, 0]
        logits += log_probabilities
        return found


def log_sigmoid(logits: np.ndarray, out: np.ndarray) -> None:
    """Write `log σ(x)` of float32 (n,) to `out` (n,), to about 1e-7.

    It takes functions that NumPy computes several at a time (not `log1p`), and as few of them as there can be: for a
    thousand items each costs as much for its call as for its numbers.
    """
    rest = np.copysign(logits, _MINUS_ONE)
    np.exp(rest, out=rest)
    rest += _ONE
    np.log(rest, out=rest)
    np.minimum(logits, _ZERO, out=out)
    out -= rest
