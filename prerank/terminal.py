"""What command lines have in common."""

import argparse
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from prerank.errors import InputError
from prerank.hints import did_you_mean
from prerank.names import place
from prerank.numbers import LARGEST, SMALLEST, integer, number

EXIT_INPUT, EXIT_INTERRUPTED = 2, 130
_MOST_HOURS = 1e6


class Parser(argparse.ArgumentParser):
    """An argument parser that raises :class:`InputError` where others print their usage; no flag may be shortened.

    A flag of `type=int` takes a decimal integer of 64 bits, one of `type=float` a finite decimal number, and one of
    `type=Path` a name that a file system takes.
    """

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)
        for kind, parse in ((int, integer), (float, number), (Path, place)):
            self.register("type", kind, flag(parse))

    def error(self, message: str) -> NoReturn:
        raise InputError(message + self._hint(message))

    def _hint(self, message: str) -> str:
        """What was probably meant by the flag or the command of argparse's message."""
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            return did_you_mean(unknown[1], _flags_of(self))
        if choice := re.search(r"invalid choice: '(\w+)' \(choose from (.*)\)", message):
            return did_you_mean(choice[1], re.findall(r"\w+", choice[2]))
        return ""


def _flags_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The flags of a parser and of its commands."""
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:  # as an old name is
            yield from (name for name in action.option_strings if name.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _flags_of(command)


def flag(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A function that raises a ValueError at a wrong text, as the type of a flag; its message is shown."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def integers(low: int = SMALLEST, high: int = LARGEST) -> Callable[[str], int]:
    """The type of a flag that takes an integer from `low` to `high`."""
    return flag(lambda text: integer(text, low, high))


def numbers(low: float, high: float) -> Callable[[str], float]:
    """The type of a flag that takes a number from `low` to `high`."""
    return flag(lambda text: number(text, low, high))


positive = integers(1)
"""The type of a flag that takes a positive integer."""
random_seed = integers(0, 2**32 - 1)
"""The type of a flag that takes a random seed, as NumPy and TensorFlow do."""
hours = numbers(0, _MOST_HOURS)
"""The type of a flag that takes a number of hours."""


def seeds(text: str) -> list[int]:
    """The random seeds of `--seeds`, comma-separated and different.

    Raises:
        InputError: the text spells none, or one twice.
    """
    try:
        found = [integer(word, 0, 2**32 - 1) for word in text.split(",")]
    except InputError as error:
        raise InputError(f"--seeds: expected integers, comma-separated: {error}") from error
    if len(set(found)) < len(found):
        raise InputError(f"--seeds: expected different integers. Received: {text!r}")
    return found


def line_buffered() -> None:
    """Make standard output hand on each line at once, to a file too: what takes long is watched there."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


@contextmanager
def told_if_slow(what: str, after: float = 2.0) -> Iterator[None]:
    """Print the line `what` to standard error if the block is still at it after so many seconds."""
    timer = threading.Timer(after, lambda: print(what, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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


def run(main: Callable[[], int | None]) -> int:
    """Run a program and return its exit code: its own, 0 if it gives none, or 2 with one line for wrong input."""
    try:
        return main() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT


def run_resumable(main: Callable[[], int | None]) -> int:
    """As :func:`run`, for a program that starts again where it was; its exit code is 130 if it is interrupted."""
    try:
        return run(main)
    except KeyboardInterrupt:
        print("interrupted: the same command resumes", file=sys.stderr)
        return EXIT_INTERRUPTED
