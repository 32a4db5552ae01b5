"""What a new report would no longer have of the published one."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str]
"""A row of `leaderboard.csv`."""
_ALL = "all of "
_SHOWN = 3
_LONGEST = 300


def dropped_rows(old: Iterable[Row], new: Iterable[Row], setting: Sequence[str]) -> list[str]:
    """What the rows of a `leaderboard.csv` have that those of a newer one lack: a row, a value in it, or a seed.

    Args:
        old: the rows.
        new: the newer one's.
        setting: columns that name a setting, in which a model and its options name a row.

    Returns:
        A text for each setting and what it lacks, what is gone as a whole first.
    """
    key = (*setting, "model", "options")
    known = {tuple(row[name] for name in key): row for row in new}
    settings = {place[: len(setting)] for place in known}
    found: dict[tuple[str, str], list[str]] = {}
    for row in old:
        place = tuple(row[name] for name in key)
        of_setting, title = place[: len(setting)], " ".join(filter(None, place[len(setting) :]))
        if of_setting not in settings:
            lost = _ALL
        elif place not in known:
            lost = ""
        elif names := _lost_values(row, known[place]):
            lost = f"{_several(names)} of "
        else:
            continue
        found.setdefault((", ".join(of_setting), lost), []).append(title)
    ordered = sorted(found, key=lambda place: (place[1] != _ALL, place[1] != ""))
    return [f"{name}: {lost}{_several(found[name, lost])}" for name, lost in ordered]


def _lost_values(old: Row, new: Row) -> list[str]:
    fewer = _count(new["seeds"]) < _count(old["seeds"])
    return [*(["a seed"] if fewer else []), *(name for name, value in old.items() if value and not new.get(name))]


def _count(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def dropped_figures(old: Collection[Path], new: Collection[Path]) -> list[str]:
    """Figures that are not drawn any more, under whatever name of their data.

    Args:
        old: files, named `<data set>-<data>-<kind>.png` or `<data set>-<kind>.png`.
        new: the same of the new report.
    """
    before, after = (Counter((path.stem.split("-")[0], path.stem.split("-")[-1]) for path in of) for of in (old, new))
    return [f"the figure {dataset}-{kind}" for dataset, kind in before - after]


def summary(lost: Sequence[str]) -> str:
    """What is lost on a line of some hundred characters, the rest of a long list as a number."""
    text, *others = [line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in lost]
    while others and len(text) + len(others[0]) < _LONGEST:
        text += f"; {others.pop(0)}"
    return text + (f"; and {len(others)} more" if others else "")


def _several(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
