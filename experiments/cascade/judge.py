"""Judges pre-rankers between a retrieval model and a ranker, and keeps a record of each."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cascade import metrics, records, stages
from experiments.cascade.bench import Asked, Bench, Between, Scores, end
from experiments.cascade.chosen import Line
from experiments.cascade.clock import Clock
from experiments.cascade.metrics import Pools, Table
from experiments.cascade.opened import Opened
from experiments.plan import Planner
from experiments.runs import Run

Report = Callable[[str], object]


class Judge:
    """Judges the pre-rankers of the lines of one setting.

    Args:
        planner: finds the data of the runs.
        asked: what is asked.
        out: folder of the results.
        report: takes lines meant for the user.
    """

    def __init__(self, planner: Planner, asked: Asked, out: Path, report: Report = print):
        self.asked = asked
        self._planner, self._out, self._report = planner, out, report
        self._opened: dict[Path, Opened] = {}
        self._bench: Bench | None = None
        self._pools: dict[Path, Pools] = {}
        self._scores: dict[tuple[Path, str], Scores] = {}

    def open(self, run: Run) -> Opened:
        """A run of the setting as a stage."""
        if run.folder not in self._opened:
            self._opened[run.folder] = Opened(run, self._planner, lambda: self.bench(run).requests)
        return self._opened[run.folder]

    def bench(self, run: Run) -> Bench:
        """The requests, read with the data of one run; all runs of a setting have the same."""
        if self._bench is None:
            trained = self.open(run).trained
            self._bench = Bench(trained.data, trained.raw, self.asked)
        return self._bench

    def line(self, line: Line) -> list[Path]:
        """Judge the pre-rankers of a line that have no record yet; returns the folders of all of its records.

        Raises:
            OtherDataError: the data are others than those of the runs.
            InputError: a run's weights are gone.
        """
        retrieval, ranker = self.open(line.retrieval), self.open(line.ranker)
        candidates: list[Opened | str] = [*map(self.open, line.prerankers), *self.asked.ends]
        places = [self._place(retrieval, ranker, preranker) for preranker in candidates]
        pairs = list(zip(candidates, places, strict=True))
        lacking = [pair for pair in pairs if not records.exists(pair[1], _results(retrieval, ranker, pair[0]))]
        if lacking:
            self._judge(retrieval, ranker, lacking)
        return [place for place in places if place.is_dir()]

    def _place(self, retrieval: Opened, ranker: Opened, preranker: Opened | str) -> Path:
        setting, asked = retrieval.run.setting, self.asked
        identity = {
            "dataset": setting.dataset,
            "protocol": setting.protocol,
            "data": setting.fingerprint,
            "part": asked.part,
            "requests": asked.requests,
            "pool": asked.pool,
            "quotas": asked.quotas,
            "retrieval": retrieval.record,
            "ranker": ranker.record,
            "preranker": preranker if isinstance(preranker, str) else preranker.record,
        }
        return records.place(self._out, identity, preranker if isinstance(preranker, str) else preranker.run.model)

    def _judge(self, retrieval: Opened, ranker: Opened, lacking: Sequence[tuple[Opened | str, Path]]) -> None:
        between = self._between(retrieval, ranker)
        if between.bench.floor is None and any(preranker == "floor" for preranker, _ in lacking):
            self._report("the data have no mean labels, so the floor is left out")
            lacking = [pair for pair in lacking if pair[0] != "floor"]
        clock = Clock(between, [preranker for preranker, _ in lacking], self.asked)
        for preranker, place in lacking:
            started = time.perf_counter()
            values, quotas = self._values(between, preranker)
            fields = {
                **self._fields(between),
                "end": isinstance(preranker, str),
                "preranker": _named(preranker) if isinstance(preranker, str) else preranker.record,
                "results": _results(retrieval, ranker, preranker),
                "quotas": list(quotas),
                "pcoc": None if isinstance(preranker, str) else preranker.pcoc(self.asked.part),
                "milliseconds": clock.of(preranker),
            }
            records.write(place, fields, between.bench.requests.groups, between.bench.users, values)
            name = preranker if isinstance(preranker, str) else f"{preranker.name}, seed {preranker.run.seed}"
            if isinstance(preranker, Opened) and preranker not in (retrieval, ranker):
                preranker.forget()
            self._report(f"judged {name} before {ranker.name}: {time.perf_counter() - started:.1f} s")

    def _between(self, retrieval: Opened, ranker: Opened) -> Between:
        bench = self.bench(retrieval.run)
        if retrieval.run.folder not in self._pools:
            self._report(f"retrieval by {retrieval.name}, {bench.requests.count} requests")
            places = stages.pools(retrieval.scorer, bench.requests, self.asked.pool)
            self._pools[retrieval.run.folder] = bench.pools(places)
        pools = self._pools[retrieval.run.folder]
        return Between(bench, retrieval, ranker, pools, self._scored(retrieval, ranker, pools))

    def _scored(self, retrieval: Opened, stage: Opened, pools: Pools) -> Scores:
        """A run's scores of the pools of a retrieval model, kept, as each pre-ranker may meet several rankers."""
        key = (retrieval.run.folder, str(stage.run.folder))
        if key not in self._scores:
            self._scores[key] = self.bench(stage.run).scores(stage.scorer, pools.places)
        return self._scores[key]

    def _values(self, between: Between, preranker: Opened | str) -> tuple[Table, tuple[int, ...]]:
        """The metrics of a pre-ranker, and its quotas."""
        asked, bench = self.asked, between.bench
        if preranker == "everything":
            pools, quotas = bench.pools(stages.whole(bench.requests)), (bench.requests.item_count,)
            ranked = bench.scores(between.ranker.scorer, pools.places)
            return metrics.judge(pools, ranked, ranked, quotas), quotas
        if isinstance(preranker, Opened):
            scores = self._scored(between.retrieval, preranker, between.pools)
        elif preranker == "ranker":
            scores = between.ranked
        else:
            scores = bench.scores(end(preranker, between), between.pools.places)
        return metrics.judge(between.pools, scores, between.ranked, asked.quotas), asked.quotas

    def _fields(self, between: Between) -> dict[str, Any]:
        """What the records of a line have in common."""
        setting, requests = between.retrieval.run.setting, between.bench.requests
        return {
            "dataset": setting.dataset,
            "protocol": setting.protocol,
            "setting": setting.title,
            "data_fingerprint": setting.fingerprint,
            "part": self.asked.part,
            "retrieval": between.retrieval.record,
            "ranker": between.ranker.record,
            "asked_requests": self.asked.requests,
            "asked_quotas": list(self.asked.quotas),
            "pool": self.asked.pool,
            "requests": requests.count,
            "users": len(np.unique(requests.groups)),
            "requests_with_positives": sum(len(found) > 0 for found in requests.positives),
            "items": requests.item_count,
            "unseen_items": int(requests.unseen.sum()),
        }


def _named(name: str) -> dict[str, Any]:
    """The record of an end of the scale."""
    return {"name": name, "model": None, "run": None, "seed": None}


def _results(retrieval: Opened, ranker: Opened, preranker: Opened | str) -> dict[str, str]:
    """The results that a record is of."""
    found = {"retrieval": retrieval.result, "ranker": ranker.result}
    return found if isinstance(preranker, str) else {**found, "preranker": preranker.result}
