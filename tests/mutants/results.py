"""The results of mutants: a file that a stopped run goes on from, and the table of `docs/results/mutants.csv`."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.draw import Mutant
from tests.mutants.trees import SURVIVED, Found

_COLUMNS = ["file", "line", "operator", "occurrence", "before", "after", "result", "by", "seconds"]
Results = dict[tuple[str, int, str, str], tuple[Mutant, Found]]


def read(path: Path) -> Results:
    """The results in a file, by the mutant's key; the last of each counts."""
    found: Results = {}
    if not path.exists():
        return found
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            mutant = Mutant(
                row["file"], int(row["line"]), row["operator"], int(row["occurrence"]), row["before"], row["after"]
            )
            found[mutant.key] = mutant, Found(row["result"], row["by"], float(row["seconds"]))
    return found


def append(path: Path, mutant: Mutant, found: Found) -> None:
    """Add a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(_COLUMNS)
        writer.writerow(_row(mutant, found))


def write(path: Path, results: Iterable[tuple[Mutant, Found]]) -> None:
    """Write results sorted by place, without the times, which differ from run to run."""
    rows = sorted((_row(mutant, found)[:-1] for mutant, found in results), key=lambda row: (row[0], row[1], row[3]))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([_COLUMNS[:-1], *rows])


def _row(mutant: Mutant, found: Found) -> list:
    return [
        mutant.file, mutant.line, mutant.operator, mutant.occurrence, mutant.before, mutant.after,
        found.result, found.by, f"{found.seconds:.1f}",
    ]  # fmt: skip


def summary(results: Iterable[tuple[Mutant, Found]]) -> list[str]:
    """A Markdown table: how many mutants of each package were caught."""
    every, lived = Counter[str](), Counter[str]()
    for mutant, found in results:
        package = mutant.file.split("/")[0] if mutant.operator != "by hand" else "by hand"
        every[package] += 1
        lived[package] += found.result == SURVIVED
    lines = ["| package | mutants | caught | share |", "| --- | --- | --- | --- |"]
    drawn = [name for name in sorted(every) if name != "by hand"]
    for name, parts in [*((name, [name]) for name in drawn), ("drawn, together", drawn), ("by hand", ["by hand"])]:
        count, left = sum(every[part] for part in parts), sum(lived[part] for part in parts)
        if count:
            lines.append(f"| {name} | {count} | {count - left} | {(count - left) / count:.1%} |")
    return lines
