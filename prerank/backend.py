"""What an exported model is run by: TensorFlow or ONNX Runtime."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

State = dict[str, np.ndarray]
Signature = Callable[[Sequence[np.ndarray]], State]
"""Outputs by name for inputs in an order agreed before."""


class Backend(Protocol):
    """The signatures of one exported model. Safe to use from several threads, and in forked children."""

    def signature(self, name: str, inputs: Sequence[str]) -> Signature:
        """A signature as a function of arrays in the order of `inputs`: raw values, or for `score`, states."""

    def load(self) -> None:
        """Load now, in this process, what the signatures would load at their first call."""
