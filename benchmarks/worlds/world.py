"""One planted world: its data, its runs, and the judged pre-rankers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.worlds.design import ENDS, LISTS, RANKER, RETRIEVAL, Comparison, Size, Way
from experiments import statuses
from experiments.cascade import records
from experiments.cascade.bench import Asked
from experiments.cascade.chosen import Wanted
from experiments.cascade.command import Stages, cascade
from experiments.cascade.entries import Board, boards
from experiments.plan import PlannedRun, Planner
from experiments.runner import Deadline, Watcher, execute
from experiments.runs import Run, read_all
from experiments.scripts import OWN, script
from experiments.statuses import Status
from preprocess.generate.requests import Bias, generate
from prerank.errors import InputError

_DATA, _PREPARED, _RUNS, _JUDGED = "data", "prepared", "runs", "judged"
_PROTOCOL = "strict"


@dataclass(frozen=True)
class Student:
    """A pre-ranker that is judged.

    Attributes:
        model: its name.
        way: how it is trained.
        run: its run.
    """

    model: str
    way: Way
    run: PlannedRun


class _Told(Watcher):
    """Says which runs end."""

    def ended(self, run: PlannedRun, outcome: Status, seconds: float) -> None:
        super().ended(run, outcome, seconds)
        self.say(f"{outcome} after {seconds:.0f} s: {run.name}")


class World:
    """A world in a folder of its own, in which nothing is made twice.

    Args:
        folder: the folder.
        bias: the exposure bias of its stages.
        seed: of the world, and of each training.
        size: how large it is, and how much is asked.
    """

    def __init__(self, folder: Path, bias: Bias, seed: int, size: Size):
        self.folder, self.bias, self.seed, self.size = folder, bias, seed, size
        self._script = script(OWN)
        self._planner = Planner(self._script, folder / _DATA, folder / _RUNS)

    def generate(self) -> None:
        """Generate the requests, if they are not there yet."""
        place, size = self.folder / _DATA, self.size
        if not place.exists():
            print(f"generating {self.folder.name}", flush=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            generate(
                place, requests=size.requests, users=size.users, items=size.items,
                exposure_bias=self.bias, seed=self.seed,
            )  # fmt: skip

    def train(self, table: Comparison, deadline: Deadline) -> bool:
        """Train what a table compares, as far as that is not done yet; returns whether all of it is done.

        Raises:
            InputError: a run has failed or diverged.
        """
        others = [self.retrieval, self.ranker]
        for runs in (lambda: others, lambda: [student.run for student in self.students(table)]):
            planned = runs()  # the id of a run with a teacher depends on what its teacher has learned
            execute(self._script.path, planned, _Told(), deadline=deadline)
            found = [statuses.settle(run) for run in planned]
            for run, status in zip(planned, found, strict=True):
                if status in (Status.FAILED, Status.DIVERGED):
                    raise InputError(f"{run.title} is {status}", path=self.folder)
            if any(status is not Status.FINISHED for status in found):
                return False
        return True

    @property
    def retrieval(self) -> PlannedRun:
        """The run of the retrieval model."""
        return self._run(RETRIEVAL, {})

    @property
    def ranker(self) -> PlannedRun:
        """The run of the ranker, the teacher too."""
        return self._run(RANKER, LISTS)

    def students(self, table: Comparison) -> list[Student]:
        """The pre-rankers of a table, way by way; the run of the ranker, who may be the teacher, is finished."""
        found = []
        for way in table.ways:
            for model in table.models:
                teacher = {"teacher": str(self.ranker.folder.final)} if way.taught else {}
                found.append(Student(model, way, self._run(model, {**way.options, **teacher})))
        return found

    def _run(self, model: str, options: dict[str, str]) -> PlannedRun:
        if self.size.epoch is not None and model != RETRIEVAL:
            options = {**options, "epoch": str(self.size.epoch)}
        places = {"schema": str(self.folder / _DATA / "schema.yaml"), "prepared_dir": str(self.folder / _PREPARED)}
        return self._planner.run(model, _PROTOCOL, self.seed, {**options, **places})

    def judge(self, table: Comparison) -> Board:
        """Judge what a table compares, as far as it is trained; retrieval and ranker are.

        All pre-rankers of a table are judged by one call, which measures their milliseconds in turn.
        """
        students, out = self._trained(table), self._place(table)
        expected = {*ENDS, *(student.run.folder.final.name for student in students)}
        known = [record.fields["preranker"] for record in records.read_all(out)] if out.exists() else []
        if {found["run"] or found["name"] for found in known} != expected:
            shutil.rmtree(out, ignore_errors=True)
        size = self.size
        stages = Stages([_of(self.retrieval)], [_of(student.run) for student in students], [_of(self.ranker)])
        asked = Asked(size.pool, size.quotas, size.asked, "test", ENDS)
        found = cascade(read_all(self.folder / _RUNS), self._planner, stages, asked, out)
        (board,) = boards(found)
        return board

    def judged(self, table: Comparison) -> Iterator[tuple[Student, Run]]:
        """The trained pre-rankers of a table with their runs."""
        for student in self._trained(table):
            yield student, Run.read(student.run.folder.final)

    def is_begun(self, table: Comparison) -> bool:
        """Whether retrieval, ranker and a pre-ranker of a table are trained."""
        others = all(run.folder.final.exists() for run in (self.retrieval, self.ranker))
        return others and bool(self._trained(table))

    def _trained(self, table: Comparison) -> list[Student]:
        return [student for student in self.students(table) if student.run.folder.final.exists()]

    def is_judged(self, table: Comparison) -> bool:
        """Whether :meth:`judge` has been called for a table."""
        return (self._place(table) / records.FOLDER).is_dir()

    def _place(self, table: Comparison) -> Path:
        return self.folder / f"{_JUDGED}-{table.name}"


def _of(run: PlannedRun) -> Wanted:
    return Wanted(str(run.folder.final), folder=run.folder.final)
