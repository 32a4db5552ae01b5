"""What the templates of pages can ask for: single results, and tables as Markdown."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2

from experiments.report import changes, published, tables
from experiments.report.claims import claims
from experiments.report.entries import Board, Entry
from experiments.report.shown import chosen
from experiments.report.table import DASH, Table

_NOTHING = "*Not run yet.*"
_FUNCTIONS = (
    "agreement", "auc", "claims", "data", "fall", "gap", "heads", "held_back", "leaks", "parts", "protocols",
    "published", "published_results", "result", "seeds", "value", "verdicts",
)  # fmt: skip
PAGES = {
    Path("docs/reproducibility.md"): "reproducibility.md.j2",
    Path("docs/movielens.md"): "movielens.md.j2",
    Path("docs/defaults.md"): "defaults.md.j2",
}
"""Pages that are filled in, by the templates beside this file."""


class Facts:
    """Results by data set and protocol, as texts.

    Args:
        boards: every setting that was run.
        before: fingerprints of the data that the pages show already.
        asked: by data set the data that they are to show.
    """

    def __init__(self, boards: Sequence[Board], before: Collection[str] = (), asked: Mapping[str, str] | None = None):
        self._boards = boards
        self._before = before
        self._asked = asked or {}
        self._shown: dict[str, list[Board]] = {}

    def fill(self, template: str) -> str:
        """A page from its template beside this file, whose functions are the public methods here."""
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
        return environment.get_template(template).render({name: getattr(self, name) for name in _FUNCTIONS})

    def of(self, dataset: str) -> list[Board]:
        """The settings of a data set, all on the same data.

        Raises:
            InputError: it has runs on several data, and nothing tells which of them to show.
        """
        if dataset not in self._shown:
            mine = [board for board in self._boards if board.setting.dataset == dataset]
            picked = chosen(mine, self._before, self._asked.get(dataset)) if mine else []
            self._shown[dataset] = [replace(board, data="") for board in picked]  # the pages name their data once
        return self._shown[dataset]

    @property
    def shown(self) -> list[Board]:
        """The settings of every data set that was asked for so far."""
        return [board for boards in self._shown.values() for board in boards]

    def board(self, dataset: str, protocol: str) -> Board | None:
        """The setting of a protocol as it stands."""
        return next((board for board in self.of(dataset) if board.setting.title == protocol), None)

    def data(self, dataset: str) -> str:
        """Names the data: the hash of the raw files, or without it the fingerprint of what was prepared from them."""
        names = sorted({board.raw_data or board.setting.fingerprint for board in self.of(dataset)})
        return ", ".join(f"`{name}`" for name in names) or DASH.text

    def auc(self, model: str, protocol: str, dataset: str = "movielens", **options: Any) -> str:
        """Test AUC of a model with these options."""
        return self.value("auc", model, protocol, dataset=dataset, **options)

    def value(
        self, metric: str, model: str, protocol: str, part: str = "test", dataset: str = "movielens", **options: Any
    ) -> str:
        """A metric of a model with these options, over the seeds."""
        entry = self._entry(model, protocol, dataset, options)
        return tables.cell(entry.spread(metric, part) if entry else None).text

    def result(self, model: str, protocol: str, part: str = "test", dataset: str = "movielens", **options: Any) -> str:
        """AUC / LogLoss of a model with these options, over the seeds."""
        return " / ".join(self.value(name, model, protocol, part, dataset, **options) for name in ("auc", "logloss"))

    def gap(self, metric: str, model: str, other: str, protocol: str, part: str = "test") -> str:
        """How much higher the mean of a metric is than another model's, both with default options."""
        found = [self._entry(name, protocol, "movielens", {}) for name in (model, other)]
        means = [entry.mean(metric, part) for entry in found if entry and entry.finished]
        return f"{means[0] - means[1]:+z.4f}" if len(means) == 2 else DASH.text

    def fall(self, model: str) -> str:
        """By how much the mean AUC of the validation part is below the test part's, under `reference`."""
        entry = self._entry(model, "reference", "movielens", {})
        return f"{entry.mean() - entry.mean(part='validation'):.3f}" if entry and entry.finished else DASH.text

    def _entry(self, model: str, protocol: str, dataset: str, options: Mapping[str, Any]) -> Entry | None:
        board = self.board(dataset, protocol)
        return board.entry(model, **options) if board else None

    def published(self, paper: str, model: str, dataset: str = "movielens") -> str:
        """The published AUC."""
        found = (row.auc for row in published.of(dataset, model) if row.paper == paper)
        return next((f"{auc:.4f}" for auc in found), DASH.text)

    def published_results(self, model: str, dataset: str = "movielens") -> str:
        """AUC / LogLoss as each paper has them."""
        return tables.published_cell(dataset, model).text

    def claims(self, dataset: str) -> str:
        """The published gains beside the measured ones."""
        return _markdown([claims(dataset, self.board(dataset, "reference"), self.board(dataset, "strict"))])

    def verdicts(self, dataset: str, protocol: str) -> str:
        """How many of the claims hold, are not shown, are reversed or open under a protocol."""
        table = claims(dataset, self.board(dataset, "reference"), self.board(dataset, "strict"))
        column = table.header.index(f"claim under `{protocol}`")
        found = Counter(row[column].text for row in table.rows)
        return ", ".join(f"*{verdict}* {count}" for verdict, count in found.most_common())

    def protocols(self, dataset: str) -> str:
        """Both protocols side by side."""
        return _markdown([tables.protocols(self.board(dataset, "strict"), self.board(dataset, "reference"))])

    def seeds(self, dataset: str, *names: str) -> str:
        """Some models under every protocol and split, also by whether training saw the user."""
        boards = [board for board in self.of(dataset) if board.setting.standard]
        return tables.seeds(boards, names).markdown()

    def leaks(self, dataset: str) -> str:
        """`reference` with leaks switched off."""
        return _markdown([changes.leaks(self.of(dataset))])

    def held_back(self, dataset: str) -> str:
        """Baselines as the public code has them."""
        return _markdown([changes.held_back(self.board(dataset, "strict"), self.board(dataset, "reference"))])

    def parts(self, dataset: str, preset: str) -> str:
        """A model's ablations, a table for each protocol."""
        return _markdown(changes.variants(board, changes.of_preset(preset)) for board in self._both(dataset))

    def heads(self, dataset: str) -> str:
        """HIT by the number of heads."""
        return _markdown([changes.heads(self._both(dataset))])

    def agreement(self, dataset: str) -> str:
        """Agreement with the ranking model, a table for each protocol."""
        return _markdown(map(tables.agreement, self._both(dataset)))

    def models(self, dataset: str) -> str:
        """Every model that was run, with its results."""
        found = tables.models_overview(dataset, self.board(dataset, "strict"), self.board(dataset, "reference"))
        return found.markdown()

    def models_in_short(self, dataset: str) -> str:
        """Every model that was run, with its paper, its kind and its AUC under `strict`."""
        return tables.models_in_short(self.board(dataset, "strict")).markdown()

    def _both(self, dataset: str) -> list[Board]:
        return [board for name in ("strict", "reference") if (board := self.board(dataset, name))]


def _markdown(found: Iterable[Table | None]) -> str:
    blocks = [block for table in found if table for block in (f"**{table.title}**", table.markdown(), *table.notes)]
    return "\n\n".join(blocks) or _NOTHING
