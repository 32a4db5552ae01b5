"""Generated data sets in the official layouts, with planted preferences and so with a known best AUC.

One module a data set, found by its name; a module whose name starts with an underscore is no data set. Each offers
`generate(folder, *, rows, seed)`, `ceiling_auc(folder)` and `SAMPLE_ROWS`, the size used where there is no data.
Those of :data:`COMMANDS` hold a cascade's requests, or logs of several days: they offer `main(arguments)`, a command
line of their own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

from preprocess.generate._folder import ExistsError
from prerank.errors import InputError

COMMANDS = ("requests", "recflow", "kuairec", "ads")
"""Modules with a command line of their own."""
_TRUTH = "truth"


class Generator(Protocol):
    """What a data set's module offers."""

    SAMPLE_ROWS: int

    def generate(self, folder: Path, *, rows: int, seed: int = 0) -> None:
        """Write `rows` rows into a new `folder`, whole or not at all; the same seed gives the same bytes.

        Raises:
            InputError: the number of rows is impossible, or the folder exists or cannot be written.
        """

    def ceiling_auc(self, folder: Path) -> float:
        """AUC of the true probabilities over the labelled rows of a generated folder."""


def names() -> list[str]:
    """The data sets that can be generated."""
    others = {*COMMANDS, _TRUTH}
    found = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}
    return sorted(found - others)


def generator(name: str) -> Generator:
    """The module that generates a data set.

    Raises:
        InputError: there is none of that name.
    """
    if name not in names():
        raise InputError(f"no data set {name!r} can be generated: choose from {', '.join(names())}")
    return cast(Generator, importlib.import_module(f"{__name__}.{name}"))


def make_sample(folder: Path, generate: Callable[[Path], object]) -> None:
    """Generate a folder if it is not there; of several processes one does it, and the others wait.

    Raises:
        InputError: the folder cannot be written.
    """
    if not folder.exists():
        with suppress(ExistsError):  # another process has made it since
            generate(folder)
