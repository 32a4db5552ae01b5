"""What does not survive a fork, made again in the child: loaded models with their threads, and locks."""

import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that is made when it is first needed, and made again in a forked child. Threads may share it.

    Args:
        make: makes the value. What it raises goes to the caller of :meth:`get`, and the next call tries again.
        survives: asked in a child, right after the fork, whether the parent's value works there as it is.
    """

    def __init__(self, make: Callable[[], T], survives: Callable[[], bool] = lambda: False):
        self._make, self._survives = make, survives
        self._lock = threading.Lock()
        self._made: list[T] = []
        _instances.add(self)

    def get(self) -> T:
        """The value of this process."""
        made = self._made
        if not made:
            with self._lock:
                if not made:
                    made.append(self._make())
        return made[0]

    def after_fork(self) -> None:
        """Forget what the child cannot use. It is not freed, as its end would wait for the parent's threads."""
        self._lock = threading.Lock()
        if self._made and not self._survives():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._made[0]))
            self._made = []


_instances: "weakref.WeakSet[PerProcess[Any]]" = weakref.WeakSet()


def tensorflow_has_begun() -> bool:
    """Whether TensorFlow has made its threads in this process. To import it makes none."""
    threads = getattr(getattr(sys.modules.get("tensorflow"), "config", None), "threading", None)
    if threads is None:
        return False
    count = threads.get_intra_op_parallelism_threads()
    try:
        # the setting is refused once it comes too late
        threads.set_intra_op_parallelism_threads(count + 1)
        threads.set_intra_op_parallelism_threads(count)
    except RuntimeError:
        return True
    return False


_threads: Literal["whole", "unsure", "lost"] = "unsure" if tensorflow_has_begun() else "whole"
"""TensorFlow's threads: lost in a fork, or, if it began before this module was imported, perhaps so."""


def tensorflow_threads() -> Literal["whole", "unsure", "lost"]:
    """Whether TensorFlow can compute in this process: no if it was the parent that began with it."""
    return _threads


def _after_fork() -> None:
    global _threads
    if tensorflow_has_begun():
        _threads = "lost"
    for instance in list(_instances):
        instance.after_fork()


os.register_at_fork(after_in_child=_after_fork)
