"""What the command lines of serving have in common."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from errors import InputError

EXIT_INPUT = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that raises :class:`InputError` where others print their usage; no flag may be shortened."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def positive(text: str) -> int:
    """A flag's value as a positive integer."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def run(main: Callable[[], None]) -> int:
    """Run a program and return its exit code: 0, or 2 with one line for wrong input."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    return 0
