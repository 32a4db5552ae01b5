"""Figures of sides that took turns, so that other work on the machine falls on all of them alike."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, float]
Found: TypeAlias = Mapping[str, Sequence[Figures]]
"""By side, its figures in each round."""


def alternate(sides: Mapping[str, Callable[[], Figures]], rounds: int, said: Callable[[str], object]) -> Found:
    """Measure each side once a round.

    Args:
        sides: by name, what measures once and gives figures by name.
        rounds: how many.
        said: takes a line a measurement, for who waits.
    """
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, measure in sides.items():
            found[side].append(measure())
            first, value = next(iter(found[side][-1].items()))
            said(f"  round {number + 1}, {side}: {first} {value:,.4g}")
    return found


def medians(results: Sequence[Figures]) -> dict[str, float]:
    """By name, the median over the rounds."""
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def ratios(found: Found, of: str, to: str, name: str) -> tuple[float, float, float]:
    """Median, least and largest over the rounds of one side's figure over another's."""
    values = [a[name] / b[name] for a, b in zip(found[of], found[to], strict=True)]
    return statistics.median(values), min(values), max(values)


def shown(ratio: tuple[float, float, float]) -> str:
    """A ratio as text."""
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"
