"""Scorers in NumPy: one user against many items, to the same logits as the exported `score`.

A kernel holds a model's scorer weights. It arranges item states once, when an index is built, and scores chunks of
them at every request.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from prerank.errors import ArtefactError
from prerank.kernels.attention import Attention, Gate
from prerank.kernels.entire_space import EntireSpace
from prerank.kernels.lss import FullyConnected, LightweightScorer
from prerank.kernels.max_sim import MaxSim
from prerank.kernels.meta_query import META_INDEX, MetaQuery, is_meta_index
from prerank.kernels.mixture import Mixture
from prerank.kernels.tasks import RANKING_TASK, TASKS, Tasks
from prerank.kernels.vectors import Additive, Cosine, Dot, MaxInterest

__all__ = ["META_INDEX", "ArrayLayout", "Kernel", "array_layout", "is_meta_index", "make_kernel", "of_probability"]

ArrayLayout = dict[str, tuple[int, int]]
"""How many parts each array of an index has, and how wide they are, by name."""
_LARGEST_STATE = 1 << 20


class Kernel(Protocol):
    """One model's scorer.

    Attributes:
        outputs: how many numbers :meth:`score` gives an item: 1, its logit; 2, the log of its probability too; or of
            several tasks the logit of each, see :class:`Tasks`.
        chunk: most items at a time, so that what is computed on the way stays in the cache.
    """

    outputs: int
    chunk: int

    def arrange(self, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Item states (N, ...) by name as arrays (parts, N, width) in the order in which :meth:`score` reads them."""
        ...

    def prepare(self, user: Mapping[str, np.ndarray]) -> Any:
        """What :meth:`score` needs of a user, from the user's state by name, without a batch axis."""
        ...

    def score(self, user: Any, items: Mapping[str, np.ndarray]) -> np.ndarray:
        """Numbers (n,) or (outputs, n) float32 of a prepared user and arranged items (parts, n, width)."""
        ...


_KERNELS: dict[str, Callable[..., Kernel]] = {
    "additive": Additive,
    "cosine": Cosine,
    "dot": Dot,
    "fully_connected": FullyConnected,
    "lss": LightweightScorer,
    "max_interest": MaxInterest,
    "max_sim": MaxSim,
    "mixture": Mixture,
}
_ENTIRE_SPACE = "entire_space/"
_OF_TASKS = ("tasks", "esmm")
_MIXTURES: dict[str, Callable[..., Kernel]] = {"attention": Attention, "gate": Gate}


def make_kernel(kind: str, weights: Mapping[str, np.ndarray]) -> Kernel:
    """The kernel of a scorer.

    Args:
        kind: what `features.json` says under "scorer", "inner" or "outer/inner"; "entire_space", or for
            several tasks "tasks" or "esmm", may stand before both.
        weights: the arrays of `scorer.npz`.

    Raises:
        ArtefactError: there is no such kernel, or a weight is missing or has another shape.
    """
    if kind.startswith(_ENTIRE_SPACE):
        return EntireSpace(make_kernel(kind.removeprefix(_ENTIRE_SPACE), weights))
    of_tasks, _, of_task = kind.partition("/")
    if of_tasks in _OF_TASKS:
        return _tasks(of_task, weights, chained=of_tasks == "esmm")
    outer, _, inner = kind.rpartition("/")
    try:
        if outer in _MIXTURES:
            return _MIXTURES[outer](weights, {"cosine": True, "dot": False}[inner])
        if outer not in ("", "meta_query"):
            raise KeyError(outer)
        kernel = _KERNELS[inner](weights)
        return MetaQuery(kernel) if outer else kernel
    except KeyError as error:
        raise ArtefactError(f"scorer {kind!r}: there is no such kernel or weight: {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise ArtefactError(f"scorer {kind!r}: a weight does not fit: {error}") from error


def _tasks(kind: str, weights: Mapping[str, np.ndarray], chained: bool) -> Tasks:
    """The kernels of several tasks, each with the weights that have its name before theirs."""
    try:
        names, ranking = weights[TASKS].tolist(), str(weights[RANKING_TASK])
        if not isinstance(names, list) or ranking not in names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"tasks {names}, ranking by {ranking}")
    except (KeyError, ValueError) as error:
        raise ArtefactError(f"scorer {kind!r}: it does not say which tasks there are: {error}") from error
    of_task = {
        task: {name.removeprefix(f"{task}."): value for name, value in weights.items() if name.startswith(f"{task}.")}
        for task in names
    }
    return Tasks({task: make_kernel(kind, of_task[task]) for task in names}, ranking, chained)


def of_probability(kernel: Kernel) -> int:
    """How many of the first rows that a kernel gives its probability is computed of."""
    return 1 if getattr(kernel, "tasks", ()) else kernel.outputs


def array_layout(kernel: Kernel, outputs: Mapping[str, list[int | None]]) -> ArrayLayout:
    """What a kernel keeps of one item.

    Args:
        kernel: the scorer.
        outputs: shapes of the item tower's outputs by name, as `features.json` has them; the first axis is the items'.

    Raises:
        ArtefactError: the kernel takes no such outputs.
    """
    shapes = {name: [1, *(size or 1 for size in shape[1:])] for name, shape in outputs.items()}
    try:
        if any(math.prod(shape) > _LARGEST_STATE for shape in shapes.values()):
            raise ValueError(f"more than {_LARGEST_STATE:,} numbers an item")
        states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return {name: (array.shape[0], array.shape[2]) for name, array in kernel.arrange(states).items()}
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise ArtefactError(f"the scorer does not fit the item tower's outputs: {error}") from error
