"""The page of tables on judged worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.worlds.design import CANDIDATES, PLAIN, RANKER, RETRIEVAL, Size
from experiments.cascade.metrics import CUTOFFS
from experiments.cascade.tables import cell
from experiments.report.document import Document, Part, Section
from experiments.report.table import DASH, Cell, Table, code

if TYPE_CHECKING:
    from benchmarks.worlds.results import Line

_COMMAND = "python -m benchmarks.planted_worlds --out docs/results/planted_worlds"

_CAPTION = "recall of the final list against the quota"
_FIGURE = (
    "Recall: the true expected positives of the final list of 50, as a share of those of the best possible list, mean "
    "over the seeds. `ranker`, `retrieval`, `popularity` and `random` stand in the place of the pre-ranker. "
    "`python -m benchmarks.worlds.figures FOLDER` draws the figure from the csv file."
)


def page(found: Mapping[str, Sequence[Line]], size: Size) -> str:
    """README.md of some tables by name."""
    introduction = [
        "Written by `python -m benchmarks.planted_worlds`; no number here is typed. All numbers are in the csv files.",
        f"A world has {size.requests:,} generated requests of {size.users:,} users and {size.items:,} items. The true "
        f"probabilities are known. Up to {size.asked:,} requests of the test part are judged. `{RETRIEVAL}` retrieves "
        f"{size.pool:,} items. The pre-ranker passes on as many as the quota. `{RANKER}`, trained as "
        f"`{CANDIDATES.name}`, ranks them. In brackets: the 95 % interval, bootstrap over users.",
    ]
    makers = {"aim": _aim, "models": _models}
    sections = [section for name, lines in found.items() for section in makers[name](lines, min(size.quotas))]
    return Document("Pre-rankers on planted worlds", introduction, sections).markdown(Path())


def _aim(lines: Sequence[Line], quota: int) -> list[Section]:
    """Whether the new way loses at most half of what the plain one loses."""
    parts = [Part(commands=[_COMMAND]), Part(text=[_FIGURE], figure=Path("aim.png"), caption=_CAPTION)]
    for length in reversed(CUTOFFS):
        rows = []
        for plain, new in _pairs(lines, quota, length):
            rows.append([
                *_of_world(new), code(new.model), Cell(f"{new.best:.2f}"), cell(plain.true_positives, 2),
                cell(new.true_positives, 2), cell(new.share, 3), _ms(plain), _ms(new), _ratio(plain, new),
            ])  # fmt: skip
        title = f"True expected positives of the final list of {length}, at quota {quota}"
        header = [
            "world", "seed", "pre-ranker", "best possible list", PLAIN, CANDIDATES.name, "share of the regret",
            f"ms, {PLAIN}", f"ms, {CANDIDATES.name}", "ratio of ms",
        ]  # fmt: skip
        parts.append(Part(table=Table(title, header, rows)))
    note = "The share of the regret: what the final list lacks of the best possible one, divided by the same of "
    parts.append(Part(text=[f"{note}the model with default options. Milliseconds: user state and pre-ranking."]))
    return [
        Section("Trained for the whole catalogue, against rated rows only", parts),
        Section("The share of the regret at each quota", [Part(table=_shares(lines))]),
        Section("What stands around the pre-ranker", [Part(table=_ends(lines, quota))]),
    ]


def _pairs(lines: Sequence[Line], quota: int, length: int) -> list[tuple[Line, Line]]:
    """Each pre-ranker of each world, trained in the plain and in the new way."""
    mine = [line for line in lines if (line.quota, line.length) == (quota, length)]
    plain = {(line.world, line.seed, line.model): line for line in mine if line.way == PLAIN}
    new = [line for line in mine if line.way == CANDIDATES.name]
    return [(plain[line.world, line.seed, line.model], line) for line in new]


def _of_world(line: Line) -> list[Cell]:
    return [Cell(line.world), Cell(str(line.seed), line.seed)]


def _ms(line: Line) -> Cell:
    return _number(_milliseconds(line), ".3f")


def _milliseconds(line: Line) -> float | None:
    if line.preranking_ms is None:
        return None
    return line.preranking_ms + (line.user_state_ms or 0.0)


def _ratio(plain: Line, new: Line) -> Cell:
    first, second = _milliseconds(plain), _milliseconds(new)
    return DASH if not first or second is None else Cell(f"{second / first:.2f}", second / first)


def _shares(lines: Sequence[Line]) -> Table:
    new = [line for line in lines if line.way == CANDIDATES.name]
    places = list(dict.fromkeys((line.quota, line.length) for line in new))
    rows = []
    for key in dict.fromkeys((line.world, line.seed, line.model) for line in new):
        mine = {(line.quota, line.length): line for line in new if (line.world, line.seed, line.model) == key}
        first = next(iter(mine.values()))
        shares = [mine[place].share for place in places]
        rows.append([*_of_world(first), code(first.model), *(cell(share, 3) for share in shares)])
    header = ["world", "seed", "pre-ranker", *(f"quota {quota}, first {length}" for quota, length in places)]
    return Table("Regret as a share of that of the same model with default options", header, rows)


def _ends(lines: Sequence[Line], quota: int) -> Table:
    ends = [line for line in lines if not line.way and line.quota == quota]
    names = list(dict.fromkeys(line.model for line in ends))
    rows = []
    for key in dict.fromkeys((line.world, line.seed, line.length) for line in ends):
        mine = {line.model: line for line in ends if (line.world, line.seed, line.length) == key}
        first = next(iter(mine.values()))
        values = [cell(mine[name].true_positives, 2) for name in names]
        rows.append([*_of_world(first), Cell(str(first.length)), Cell(f"{first.best:.2f}"), *values])
    header = ["world", "seed", "list", "best possible list", *names]
    return Table(f"True expected positives, at quota {quota}", header, rows)


def _models(lines: Sequence[Line], quota: int) -> list[Section]:
    """Each model with each way of training, world by world."""
    sections = []
    for world, seed in dict.fromkeys((line.world, line.seed) for line in lines):
        mine = [line for line in lines if (line.world, line.seed, line.quota) == (world, seed, quota) and line.way]
        flags = f"--table models --worlds {world} --seeds {seed}"
        parts = [Part(commands=[f"{_COMMAND} {flags}"])]
        for length in reversed(CUTOFFS):
            of_list = [line for line in mine if line.length == length]
            title = f"True expected positives of the final list of {length}, at quota {quota}"
            note = f"The best possible list has {of_list[0].best:.2f}."
            parts.append(Part(table=_by_way(of_list, title, lambda line: cell(line.true_positives, 2), [note])))
        first = [line for line in mine if line.length == CUTOFFS[0]]
        for title, value in _COSTS.items():
            parts.append(Part(table=_by_way(first, title, value)))
        sections.append(Section(f"Models and ways of training, world {world}, seed {seed}", parts))
    return sections


def _number(value: float | None, form: str) -> Cell:
    return DASH if value is None else Cell(format(value, form), value)


_COSTS: dict[str, Callable[[Line], Cell]] = {
    "AUC of rated rows of the test part": lambda line: _number(line.auc, ".4f"),
    "Training: rows a second": lambda line: _number(line.rows_per_second, ",.0f"),
    "Training: epochs": lambda line: _number(line.epochs, "d"),
    "Training: seconds": lambda line: _number(line.seconds, ".0f"),
    "Milliseconds a request: user state and pre-ranking": _ms,
}


def _by_way(lines: Sequence[Line], title: str, value: Callable[[Line], Cell], notes: Sequence[str] = ()) -> Table:
    ways = list(dict.fromkeys(line.way for line in lines))
    rows = []
    for model in dict.fromkeys(line.model for line in lines):
        mine = {line.way: line for line in lines if line.model == model}
        rows.append([code(model), *(value(mine[way]) if way in mine else DASH for way in ways)])
    return Table(title, ["pre-ranker", *ways], rows, notes)
