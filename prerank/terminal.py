"""What command lines have in common."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from prerank.errors import InputError

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


def write(text: str) -> None:
    """Print a line. A reader that has gone away ends the output quietly.

    Raises:
        InputError: standard output takes no more, as the disk is full.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # what is left in the buffer would fail again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InputError(f"cannot write to standard output: {error.strerror}") from error


def run(main: Callable[[], None]) -> int:
    """Run a program and return its exit code: 0, or 2 with one line for wrong input."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    return 0
