"""Mutants by the operators of cosmic-ray, drawn by lines with a fixed seed."""

import functools
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

SEED = 22
_CHANGE_NOTHING = re.compile(r"ReplaceComparisonOperator_((?!Is_|IsNot_)\w+_(Is|IsNot)|Is_Eq|IsNot_NotEq)$")
"""Objects instead of values or the reverse: the same for None, for functions, and wherever texts are interned."""
_CHANGE_SPEED_ONLY = re.compile(
    r"^_?(chunk|BLOCK|BATCH|CHUNK|CACHE_BYTES|EVALUATION_BATCH|SLOTS|MULTIPLIERS"
    r"|ITEMS_A_CALL|ROWS_A_CALL|ROWS_AT_ONCE|ROWS_PER_FILE) = "
    r"|^@(functools\.)?(cache|cached_property|lru_cache)$|^@dataclass\(frozen="
    r"|parallel_iterations=|reduce_retracing="
)
"""Lines that say how much is done or kept at a time; and that a class is not to be written to."""
_GUARDS = re.compile(r"(strict|copy)=$")
"""Arguments that guard against mistakes of ours, and save a copy."""


@dataclass(frozen=True)
class Mutant:
    """One fault in one file.

    Attributes:
        file: path in the repository.
        line: where it is, from 1.
        operator: of cosmic-ray, or "by hand".
        occurrence: which of the operator's places in the file, or of the hand-written list.
        before, after: the changed lines.
    """

    file: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What tells it from the others, and changes with the code."""
        return self.file, self.occurrence, self.before, self.after


@dataclass(frozen=True)
class Mutated:
    """A mutant, and the whole file with it."""

    mutant: Mutant
    source: str


@functools.cache
def _operators() -> dict[str, Any]:
    """The operators that need no arguments, by name."""
    found = {name: plugins.get_operator(name) for name in sorted(plugins.operator_names())}
    return {name.partition("/")[2]: kind() for name, kind in found.items() if not kind.arguments()}


class Source:
    """A file whose lines can be mutated.

    Args:
        root: the repository.
        file: path in it.
    """

    def __init__(self, root: Path, file: str):
        self._file = file
        self.text = (root / file).read_text("utf-8")
        self._lines = self.text.splitlines()
        self._nodes = list(ast_nodes(get_ast(self.text)))

    @functools.cached_property
    def lines(self) -> list[int]:
        """Lines on which a node begins that may be mutated."""
        last = len(self._lines)  # where the end of the file begins
        return sorted({n.start_pos[0] for n in self._nodes if n.start_pos[0] <= last and not _is_annotation(n)})

    def choices(self, line: int) -> dict[tuple[int, int], list[tuple[str, int]]]:
        """By place on a line, operators and which of a node's mutations each makes there."""
        found: dict[tuple[int, int], list[tuple[str, int]]] = {}
        text = self._lines[line - 1]
        if _CHANGE_SPEED_ONLY.search(text.strip()):
            return found
        for node in self._nodes:
            if node.start_pos[0] == line and not _is_annotation(node) and not _GUARDS.search(text[: node.start_pos[1]]):
                for name, operator in _operators().items():
                    if _CHANGE_NOTHING.match(name):
                        continue
                    for index, (start, _) in enumerate(operator.mutation_positions(node)):
                        found.setdefault(start, []).append((name, index))
        return found

    def mutate(self, line: int, place: tuple[int, int], name: str, index: int) -> Mutated | None:
        """One mutation; None if it leaves the text as it is or gives a file that cannot be compiled."""
        operator = _operators()[name]
        occurrence = 0
        for node in self._nodes:
            positions = list(operator.mutation_positions(node))
            if positions and node.start_pos[0] == line and positions[0][0] == place:
                break
            occurrence += len(positions)
        occurrence += index
        changed = mutate_code(self.text, operator, occurrence)
        if changed is None or changed == self.text:
            return None
        try:
            compile(changed, self._file, "exec")
        except (SyntaxError, ValueError):
            return None
        before, after = _difference(self._lines, changed.splitlines())
        return Mutated(Mutant(self._file, line, name, occurrence, before, after), changed)


def _is_annotation(node: Any) -> bool:
    """Whether a node is part of an annotation, which nothing reads but pydantic and the type checker."""
    child, parent = node, node.parent
    while parent is not None:
        if parent.type == "annassign" and child is parent.children[1]:
            return True
        if parent.type == "param" and parent.annotation is not None and _within(node, parent.annotation):
            return True
        if parent.type == "funcdef" and parent.annotation is not None and _within(node, parent.annotation):
            return True
        child, parent = parent, parent.parent
    return False


def _within(node: Any, other: Any) -> bool:
    return other.start_pos <= node.start_pos and node.end_pos <= other.end_pos


def _difference(old: list[str], new: list[str]) -> tuple[str, str]:
    """The lines that differ, as one text each."""
    start = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    stop = 0
    while stop < min(len(old), len(new)) - start and old[-1 - stop] == new[-1 - stop]:
        stop += 1
    texts = (lines[start : len(lines) - stop] for lines in (old, new))
    before, after = (" ".join(line.strip() for line in text) for text in texts)
    return before, after


def drawn(root: Path, lines: Iterable[tuple[str, int]] | None, files: Iterable[str], count: int) -> Iterator[Mutated]:
    """At most `count` mutants, at most one a line, the lines in an order that a fixed seed gives.

    Args:
        root: the repository.
        lines: file and number of the lines to choose from; all lines of `files` if None.
        files: paths in the repository.
        count: how many.
    """
    sources = {file: Source(root, file) for file in sorted(files)}
    chooser = random.Random(SEED)
    places = sorted(lines) if lines is not None else [(file, n) for file, of in sources.items() for n in of.lines]
    chooser.shuffle(places)
    for file, line in places:
        if count <= 0:
            return
        choices = sources[file].choices(line)
        if not choices:
            continue
        place = chooser.choice(sorted(choices))
        name, index = chooser.choice(choices[place])
        if mutated := sources[file].mutate(line, place, name, index):
            count -= 1
            yield mutated
