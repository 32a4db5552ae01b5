"""Runs that differ in nothing but the seed, as one entry of a table, and how two entries compare."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

import models
from experiments.bootstrap import COLUMNS
from experiments.report.data import data_names
from experiments.runs import Run, Setting, Variant, variant_title
from training.metrics import rela_impr

_INTERVAL = (2.5, 97.5)
_LEVEL = 0.05


@dataclass(frozen=True)
class Spread:
    """A value over the seeds.

    Attributes:
        mean: over the seeds.
        deviation: standard deviation of a sample; None for one seed.
        seeds: how many.
    """

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Of the values of each seed; None if there is none."""
        if not values:
            return None
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))

    def text(self, digits: int = 4, factor: float = 1.0) -> str:
        """`mean ± deviation`; only the mean for one seed, or if the seeds do not differ."""
        mean = f"{self.mean * factor:,.{digits}f}"
        return f"{mean} ± {self.deviation * factor:,.{digits}f}" if self.deviation else mean


@dataclass(frozen=True)
class Comparison:
    """How much better one entry is than another, over the seeds that both have.

    Attributes:
        other: title of the other entry.
        difference: mean difference in AUC.
        p: of a paired t-test over the seeds; None with one seed, or if all seeds have the same difference.
        low, high: 95 % interval of the difference, bootstrap over users; None where it was not measured.
        seeds: how many seeds.
    """

    other: str
    difference: float
    p: float | None
    low: float | None
    high: float | None
    seeds: int

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `no different` at 5 %, by the interval over users and the t-test over seeds.

        `not known` with one seed, as seeds differ by more than many a gain, or without an interval.
        """
        if self.seeds < 2 or self.low is None or self.high is None:
            return "not known"
        if self.low <= 0 <= self.high or (self.p is not None and self.p >= _LEVEL):
            return "no different"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class Entry:
    """Runs of one model with the same options under the same setting.

    Attributes:
        setting: what it can be compared within.
        model: its name.
        variant: options that differ from the defaults.
        runs: every run, by seed.
    """

    setting: Setting
    model: str
    variant: Variant
    runs: tuple[Run, ...]

    @cached_property
    def finished(self) -> dict[int, Run]:
        """The finished runs by seed."""
        return {run.seed: run for run in self.runs if run.status == "finished"}

    @property
    def title(self) -> str:
        """The model, and its options if they are not the defaults."""
        return " ".join([self.model, variant_title(self.variant)]) if self.variant else self.model

    @property
    def decoupled(self) -> bool:
        """Whether the model's sides are encoded apart."""
        return models.get(self.model).decoupled

    @property
    def seeds(self) -> str:
        """How many seeds are finished, and what became of the others."""
        lost = [f"{count} {name}" for name in ("diverged", "failed") if (count := self._count(name))]
        return f"{len(self.finished)}" + (f" ({', '.join(lost)})" if lost else "")

    def _count(self, status: str) -> int:
        return sum(run.status == status for run in self.runs)

    def spread(self, name: str, part: str | None = "test") -> Spread | None:
        """A metric of a part, or with no part of the whole run, over the seeds."""
        found = [(run.metrics.get(part) or {}) if part else run.metrics for run in self.finished.values()]
        return Spread.of([metrics[name] for metrics in found if metrics.get(name) is not None])

    def mean(self, name: str = "auc", part: str | None = "test") -> float:
        """Mean of a metric; NaN if there is none."""
        found = self.spread(name, part)
        return found.mean if found else float("nan")

    def rela_impr(self, base: "Entry | None") -> Spread | None:
        """Relative improvement in percent over `base`, seed by seed."""
        if base is None:
            return None
        shared = sorted(self.finished.keys() & base.finished.keys())
        found = [(_auc(self.finished[seed]), _auc(base.finished[seed])) for seed in shared]
        return Spread.of([rela_impr(mine, theirs) for mine, theirs in found if mine is not None and theirs is not None])

    def compare(self, other: "Entry | None") -> Comparison | None:
        """How much better this is than `other`; None if they share no seed."""
        shared = sorted(self.finished.keys() & other.finished.keys()) if other else []
        if other is None or not shared:
            return None
        pairs = [(self.finished[seed], other.finished[seed]) for seed in shared]
        aucs = [(_auc(mine), _auc(theirs)) for mine, theirs in pairs]
        differences = np.array([mine - theirs for mine, theirs in aucs if mine is not None and theirs is not None])
        if len(differences) < len(pairs):  # a test part of one class has no AUC
            return None
        low, high = _interval(pairs)
        return Comparison(other.title, float(differences.mean()), _p(differences), low, high, len(shared))


def _auc(run: Run) -> float | None:
    return run.metrics["test"]["auc"]


def _p(differences: np.ndarray) -> float | None:
    if len(differences) < 2 or not np.ptp(differences):
        return None
    return float(stats.ttest_rel(differences, np.zeros_like(differences)).pvalue)


def _interval(pairs: Sequence[tuple[Run, Run]]) -> tuple[float | None, float | None]:
    found = [(mine.bootstrap, theirs.bootstrap) for mine, theirs in pairs]
    if any(mine is None or theirs is None for mine, theirs in found):
        return None, None
    column = COLUMNS.index("auc")
    differences = np.mean([mine[:, column] - theirs[:, column] for mine, theirs in found], axis=0)  # type: ignore[index]
    low, high = np.nanpercentile(differences, _INTERVAL)
    return float(low), float(high)


def entries(runs: Iterable[Run]) -> list[Entry]:
    """Runs as entries, by setting, model and variant."""
    found: dict[tuple[Setting, str, Variant], list[Run]] = {}
    for run in runs:
        found.setdefault((run.setting, run.model, run.variant), []).append(run)
    return [
        Entry(setting, model, variant, tuple(sorted(mine, key=lambda run: run.seed)))
        for (setting, model, variant), mine in found.items()
    ]


@dataclass(frozen=True)
class Board:
    """Every entry of one setting.

    Attributes:
        setting: the setting.
        entries: all of them.
        data: names the raw data, if the data set has runs on several.
    """

    setting: Setting
    entries: tuple[Entry, ...]
    data: str = ""

    @property
    def title(self) -> str:
        """The setting for people, with the fingerprint of its data if the data set has runs on several."""
        return self.setting.title + (f", data {self.setting.fingerprint}" if self.data else "")

    @property
    def raw_data(self) -> str:
        """Hash of the raw data that its runs are on; empty if none says."""
        return next((run.raw_data for entry in self.entries for run in entry.runs if run.raw_data), "")

    @cached_property
    def defaults(self) -> list[Entry]:
        """Entries with default options, best first; those without a result at the end."""
        found = [entry for entry in self.entries if not entry.variant]
        return sorted(
            found, key=lambda entry: (not entry.finished, -entry.mean() if entry.finished else 0, entry.model)
        )

    @cached_property
    def variants(self) -> list[Entry]:
        """Entries with other options, by model."""
        return sorted((entry for entry in self.entries if entry.variant), key=lambda e: (e.model, str(e.variant)))

    def entry(self, model: str, **options: Any) -> Entry | None:
        """The entry of a model with these options, defaults beside them."""
        wanted = tuple(sorted(options.items()))
        return next((e for e in self.entries if (e.model, e.variant) == (model, wanted)), None)

    def baseline(self, entry: Entry) -> Entry | None:
        """The other decoupled model with default options of the best mean test AUC.

        By the test part, as the papers choose theirs: what is better than that baseline is better than all.
        """
        return next((e for e in self.defaults if e.decoupled and e.finished and e.model != entry.model), None)

    def rows(self) -> dict[str, int]:
        """Rows of each part."""
        known = [run.metrics["rows"] for entry in self.entries for run in entry.runs if run.metrics.get("rows")]
        return known[0] if known else {}


def boards(runs: Iterable[Run]) -> list[Board]:
    """The settings of some runs with their entries: by data set and raw data, protocols as they stand first."""
    found: dict[Setting, list[Entry]] = {}
    for entry in entries(runs):
        found.setdefault(entry.setting, []).append(entry)
    plain = {setting: Board(setting, tuple(mine)) for setting, mine in found.items()}
    data = data_names({setting: board.raw_data for setting, board in plain.items()})
    ordered = sorted(found, key=lambda s: (s.dataset, data[s], not s.standard, s.protocol != "strict", len(s.title), s))
    return [replace(plain[setting], data=data[setting]) for setting in ordered]
