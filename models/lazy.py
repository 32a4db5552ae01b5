"""Names of a package that are imported when they are first used, as they need TensorFlow."""

import importlib
from collections.abc import Callable
from typing import Any


def lazily(module: str, *names: str) -> Callable[[str], Any]:
    """What a package takes as its `__getattr__` to offer names of a module that it does not import yet."""

    def __getattr__(name: str) -> Any:  # noqa: N807  (what Python calls it in a module)
        if name in names:
            return getattr(importlib.import_module(module), name)
        raise AttributeError(f"{module.rpartition('.')[0]} has no attribute {name!r}")

    return __getattr__
