"""Runs training scripts as processes of their own, until all that is planned is done or the time is up."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments import launcher, statuses
from experiments.plan import PlannedRun
from experiments.statuses import Status
from prerank.threads import cores

_POLL = 0.5
_PATIENCE = 30.0


class Deadline:
    """When time is up.

    Args:
        hours: from now; never if None.
    """

    def __init__(self, hours: float | None = None):
        self.hours = hours
        self._end = None if hours is None else time.monotonic() + hours * 3600

    def over(self) -> bool:
        """Whether it is."""
        return self._end is not None and time.monotonic() > self._end


class Watcher:
    """Is told how a series of runs goes. This one says what fails, and when the time is up."""

    def say(self, text: str) -> None:
        """Show a line."""
        print(text, flush=True)

    def started(self, run: PlannedRun) -> None:
        """A run has begun."""

    def ended(self, run: PlannedRun, outcome: Status, seconds: float) -> None:
        """A run has ended."""
        if outcome is Status.FAILED:
            self.say(statuses.failure(run))

    def stopped(self, run: PlannedRun) -> None:
        """A run under way was stopped."""

    def refresh(self) -> None:
        """Some time has passed."""


@dataclass
class _Child:
    """A run under way: its process, and when it began (`time.monotonic`)."""

    run: PlannedRun
    process: subprocess.Popen
    begun: float


def execute(
    script: Path,
    runs: Iterable[PlannedRun],
    watcher: Watcher,
    *,
    jobs: int = 1,
    deadline: Deadline,
) -> None:
    """Do what is not yet done, each run in a fresh process.

    Runs at once share out the cores. A run that another process is at is waited for at the end. When the time is up,
    or on an interrupt, the runs under way are stopped; the same command resumes them after their last whole epoch.
    Runs end with this process too if it is killed, see :mod:`experiments.launcher`.

    Args:
        script: the training script.
        runs: what is planned.
        watcher: is told how it goes.
        jobs: how many at once.
        deadline: when to stop.

    Raises:
        KeyboardInterrupt: the user interrupted it, or the process was asked to end.
    """
    waiting = deque(run for run in runs if not statuses.settle(run).over)
    environment = _environment(jobs)
    children: list[_Child] = []
    with _interrupts() as check:
        try:
            while waiting or children:
                check()
                if deadline.over():
                    watcher.say(f"{deadline.hours:g} hours are up: the same command resumes")
                    return
                children = [child for child in children if not _ended(child, watcher, waiting)]
                while len(children) < jobs and (run := _next(waiting)) is not None:
                    children.append(_start(script, run, watcher, environment))
                watcher.refresh()
                time.sleep(_POLL)
        finally:
            _stop(children, watcher)


def _next(waiting: deque[PlannedRun]) -> PlannedRun | None:
    """The first run that nobody is at, taken out of `waiting`; those that are over are dropped."""
    for _ in range(len(waiting)):
        run = waiting.popleft()
        found = statuses.settle(run)
        if found is Status.BUSY:
            waiting.append(run)
        elif not found.over:
            return run
    return None


def _environment(jobs: int) -> dict[str, str]:
    """The environment of one of `jobs` runs at once: it has its share of the cores, unless a number is set already.

    With a thread for every core in every process they get into each other's way: two HITs on two cores took 1.2 times
    as long.
    """
    share = {"TF_NUM_INTRAOP_THREADS": str(max(1, cores() // jobs))} if jobs > 1 else {}
    return {**share, **os.environ}


def _start(script: Path, run: PlannedRun, watcher: Watcher, environment: Mapping[str, str]) -> _Child:
    # The kernel ends it when this thread ends: `execute` has to be called by one that lives as long as the process.
    launch = [sys.executable, "-I", launcher.__file__, str(os.getpid())]
    command = [*launch, sys.executable, str(script), *run.flags]
    log = statuses.log_file(run)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:
        print(f"$ python {script.name} {' '.join(run.flags)}", file=out, flush=True)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            # A session of its own: an interrupt from the terminal reaches this process only, which ends its children.
            start_new_session=True,
        )
    watcher.started(run)
    return _Child(run, process, time.monotonic())


def _ended(child: _Child, watcher: Watcher, waiting: deque[PlannedRun]) -> bool:
    """Whether a process has ended; then its run's outcome is kept and shown."""
    code = child.process.poll()
    if code is None:
        return False
    outcome = statuses.settle(child.run)
    if outcome is Status.BUSY:
        waiting.append(child.run)
    elif not outcome.over:
        statuses.keep_failure(child.run, code)
        outcome = Status.FAILED
    watcher.ended(child.run, outcome, time.monotonic() - child.begun)
    return True


def _stop(children: list[_Child], watcher: Watcher) -> None:
    for child in children:
        child.process.terminate()
    for child in children:
        try:
            child.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        watcher.stopped(child.run)


@contextmanager
def _interrupts() -> Iterator[Callable[[], None]]:
    """Gives a function that raises KeyboardInterrupt if SIGINT or SIGTERM has come, which do nothing by themselves.

    So neither comes between the start of a process and its being known.
    """
    come: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: come.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def check() -> None:
        if come:
            raise KeyboardInterrupt

    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
