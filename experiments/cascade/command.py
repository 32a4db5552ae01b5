"""`benchmark.py cascade`: from flags to records, a table, figures and a page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.cascade.bench import Asked
from experiments.cascade.chosen import Wanted, lines
from experiments.cascade.judge import Judge
from experiments.cascade.records import Record
from experiments.plan import Planner
from experiments.runs import Run
from experiments.trained import OtherDataError, TrainedRun
from prerank.errors import InputError
from training.cascade import CascadeRecall

Report = Callable[[str], object]


@dataclass(frozen=True)
class Stages:
    """What the stages are to be.

    Attributes:
        retrieval: the retrieval model, or several, of which the one with the highest recall on validation is taken.
        prerankers: what is judged.
        rankers: each ranks the final lists of all pre-rankers.
        match_seeds: retrieval and ranker have the pre-ranker's seed; if not, their lowest.
    """

    retrieval: Sequence[Wanted]
    prerankers: Sequence[Wanted]
    rankers: Sequence[Wanted]
    match_seeds: bool = False


def cascade(
    runs: Sequence[Run], planner: Planner, chosen: Stages, asked: Asked, out: Path, report: Report = print
) -> list[Record]:
    """Judge pre-rankers under every setting that has runs of all stages, and return their records.

    Settings of other data than those that `planner` finds are told and left out.

    Args:
        runs: runs of one data set and protocol.
        planner: finds their data.
        chosen: the stages.
        asked: what is asked of each pre-ranker.
        out: folder of the results.
        report: takes lines meant for the user.

    Raises:
        InputError: no setting has runs of all stages and is of the data.
    """
    finished = [run for run in runs if run.status == "finished"]
    errors: list[InputError] = []
    found: list[Record] = []
    for setting in dict.fromkeys(run.setting for run in finished):
        mine = [run for run in finished if run.setting == setting]
        try:
            runs_of_stages = _find(mine, chosen)
        except InputError as error:  # other settings may have runs of all stages
            errors.append(error)
            continue
        title = f"{setting.dataset}, {setting.title}, data {setting.fingerprint}"
        try:
            found += _judge(runs_of_stages, planner, chosen.match_seeds, Judge(planner, asked, out, report), report)
        except OtherDataError as error:
            report(f"{title}: left out, as of other data")
            errors.append(error)
    if not found:
        raise errors[-1] if errors else InputError("--output_dir: there is no finished run")
    return found


@dataclass(frozen=True)
class _Runs:
    """The runs of each model of each stage."""

    retrieval: Sequence[Sequence[Run]]
    prerankers: Sequence[Sequence[Run]]
    rankers: Sequence[Sequence[Run]]


def _find(runs: Sequence[Run], chosen: Stages) -> _Runs:
    return _Runs(
        [wanted.find(runs, "--retrieval") for wanted in chosen.retrieval],
        [wanted.find(runs, "--prerankers") for wanted in chosen.prerankers],
        [wanted.find(runs, "--ranker") for wanted in chosen.rankers],
    )


def _judge(found: _Runs, planner: Planner, match_seeds: bool, judge: Judge, report: Report) -> list[Record]:
    several = len(found.retrieval) > 1
    retrieval = _best(found.retrieval, planner, judge.asked, report) if several else found.retrieval[0]
    judged = lines(retrieval, found.prerankers, found.rankers, match_seeds)
    return [Record.read(folder) for line in judged for folder in judge.line(line)]


def _best(retrieval: Sequence[Sequence[Run]], planner: Planner, asked: Asked, report: Report) -> Sequence[Run]:
    """The retrieval model whose pool has the highest recall of later positives on the validation part.

    Raises:
        InputError: no request of it has a later positive.
    """
    recall: CascadeRecall | None = None
    found = []
    for runs in retrieval:
        trained = TrainedRun.open(runs[0], planner)
        recall = recall or CascadeRecall(
            trained.data, "validation", cutoff=asked.pool, requests=asked.requests, most_items=None
        )
        found.append(recall(trained.model()))
        if np.isnan(found[-1]):
            raise InputError(
                "--retrieval: name one model. Several are compared by the later positives of the validation part, "
                "and none of its requests has one"
            )
        report(f"recall@{asked.pool} on validation of {runs[0].model}, {runs[0].folder.name}: {found[-1]:.4f}")
    return retrieval[max(range(len(found)), key=lambda place: found[place])]
