"""Records as lines of tables: a pre-ranker over its seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from experiments.cascade.intervals import Estimate, Users
from experiments.cascade.metrics import Table
from experiments.cascade.records import Record
from prerank.errors import InputError


@dataclass(frozen=True)
class Entry:
    """A pre-ranker with its options.

    Attributes:
        records: one of each seed; of an end of the scale one of each seed of the stages around it.
    """

    records: Sequence[Record]

    @property
    def name(self) -> str:
        """The model and its options, or the end of the scale."""
        return self.records[0].fields["preranker"]["name"]

    @property
    def end(self) -> bool:
        """Whether it is an end of the scale."""
        return self.records[0].fields["end"]

    @cached_property
    def _values(self) -> tuple[np.ndarray, Table]:
        groups, first = self.records[0].requests
        tables = [first]
        for record in self.records[1:]:
            others, table = record.requests
            if not np.array_equal(groups, others):
                raise InputError("not of the same requests as the other seeds", path=record.folder)
            tables.append(table)
        return groups, {name: np.mean([table[name] for table in tables], axis=0) for name in first}

    @property
    def groups(self) -> np.ndarray:
        """The user of each request. Shape (R,)."""
        return self._values[0]

    def has(self, metric: str) -> bool:
        """Whether it was judged by a metric."""
        return metric in self._values[1]

    def values(self, metric: str, quota: int) -> np.ndarray:
        """A metric of each request, the mean over the seeds. Shape (R,).

        Without pre-ranking it is the same at every quota.
        """
        quotas = self.records[0].fields["quotas"]
        return self._values[1][metric][:, quotas.index(quota) if quota in quotas else 0]

    def milliseconds(self, quota: int) -> float | None:
        """Of pre-ranking and ranking together, the mean over the seeds; None if one of them was not measured."""
        found = []
        for record in self.records:
            measured, quotas = record.fields["milliseconds"], record.fields["quotas"]
            ranking = measured["ranking"][quotas.index(quota) if quota in quotas else 0]
            if ranking is None or measured["preranking"] is None:
                return None
            found.append(measured["preranking"] + ranking)
        return fmean(found)

    def mean_of(self, values: Iterable[Any]) -> float | None:
        """The mean of a number of each seed; None if one is missing."""
        found = list(values)
        return None if not found or None in found else fmean(found)


@dataclass(frozen=True)
class Board:
    """The pre-rankers that were judged between the same retrieval model and ranker on the same requests.

    Attributes:
        entries: the pre-rankers, models first.
    """

    entries: Sequence[Entry]

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a record, of which those of :attr:`Record.line` are common to all."""
        return self.entries[0].records[0].fields

    @property
    def quotas(self) -> list[int]:
        """The quotas, largest first."""
        return self.fields["asked_quotas"]

    @cached_property
    def users(self) -> Users:
        """The bootstrap over users."""
        return Users(self.entries[0].groups)

    @property
    def main(self) -> str:
        """The metric that counts most: true positives where the truth is known, else recall of later positives."""
        return "true_positives@50" if self.entries[0].has("true_positives@50") else "recall@50"

    @property
    def middle(self) -> int:
        """The quota that tables of one quota are of."""
        return self.quotas[(len(self.quotas) - 1) // 2]

    def entry(self, name: str) -> Entry | None:
        """The entry of a name, or None."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def estimate(self, entry: Entry, metric: str, quota: int) -> Estimate:
        """The mean of a metric with its interval."""
        return self.users.mean(entry.values(metric, quota))


def boards(records: Iterable[Record]) -> list[Board]:
    """Records by what they are comparable in."""
    lines: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    for record in records:
        lines.setdefault(record.line, {}).setdefault(record.fields["preranker"]["name"], []).append(record)
    found = []
    for by_name in lines.values():
        entries = [Entry(mine) for mine in by_name.values()]
        board = Board(sorted(entries, key=lambda entry: entry.end))
        best = {entry.name: board.estimate(entry, board.main, board.middle).mean for entry in entries}
        found.append(Board(sorted(entries, key=lambda entry: (entry.end, -np.nan_to_num(best[entry.name], nan=-1.0)))))
    return found
