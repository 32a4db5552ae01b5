"""Shows how far a series of runs is, and about how long it will take."""

import statistics
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments import statuses
from experiments.plan import PlannedRun
from experiments.runner import Watcher
from experiments.statuses import Status

_SYMBOLS = {
    Status.TO_DO: "[dim]·[/]",
    Status.BEGUN: "[yellow]…[/]",
    Status.BUSY: "[cyan]▶[/]",
    Status.FINISHED: "[green]✓[/]",
    Status.DIVERGED: "[red]D[/]",
    Status.FAILED: "[red]F[/]",
}
_LEGEND = "✓ finished  ▶ running  … begun  D diverged  F failed  · to do"


class Display(Watcher):
    """A table of all runs on a terminal, a line at each start and end elsewhere. A context manager.

    Args:
        runs: what is planned.
        jobs: how many run at once.
        console: where to print.
    """

    def __init__(self, runs: Sequence[PlannedRun], jobs: int = 1, console: Console | None = None):
        self._runs = runs
        self._jobs = jobs
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._statuses = {run: statuses.status(run) for run in runs}
        self._running: dict[PlannedRun, float] = {}
        self._seconds: dict[PlannedRun, float] = {
            run: statuses.metrics(run).get("seconds") or 0.0
            for run, found in self._statuses.items()
            if found is Status.FINISHED
        }
        self._shown = 0.0

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        self.say(self.summary())
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        else:
            self._console.print(self._table(), _LEGEND)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def started(self, run: PlannedRun) -> None:
        """A run has begun."""
        self._running[run] = time.monotonic()
        self._statuses[run] = Status.BUSY
        if not self._live:
            self.say(f"started: {run.title}; {self.summary()}")
        self._draw()

    def ended(self, run: PlannedRun, outcome: Status, seconds: float) -> None:
        """A run has ended."""
        self._running.pop(run, None)
        self._statuses[run] = outcome
        if outcome is Status.FINISHED:
            self._seconds[run] = seconds
        if outcome is Status.FAILED:
            self.say(statuses.failure(run))
        else:
            auc = (statuses.metrics(run).get("test") or {}).get("auc")
            result = "" if auc is None else f", test AUC {auc:.4f}"
            self.say(f"{outcome}: {run.title}{result}, {seconds:.0f} s")
        self._draw()

    def stopped(self, run: PlannedRun) -> None:
        """A run under way was stopped."""
        self._running.pop(run, None)
        self._statuses[run] = statuses.settle(run)
        self._draw()

    def refresh(self) -> None:
        """Draw the table again, once a second at most."""
        if time.monotonic() - self._shown > 1:
            self._draw()

    def _draw(self) -> None:
        if self._live:
            self._live.update(Group(self._table(), Text(f"{_LEGEND}\n{self.summary()}")), refresh=True)
            self._shown = time.monotonic()

    def summary(self) -> str:
        """How many runs are over, and about how long the others will take."""
        found = list(self._statuses.values())
        text = f"{sum(status.over for status in found)} of {len(found)} runs over"
        for status in (Status.DIVERGED, Status.FAILED):
            if count := found.count(status):
                text += f", {count} {status}"
        left = self._seconds_left()
        return text + ("" if left is None else f", about {_duration(left)} left")

    def _seconds_left(self) -> float | None:
        """Estimated from the finished runs of the same model, else from all; None before there is any."""
        if not self._seconds:
            return None
        of_model: dict[str, list[float]] = {}
        for run, seconds in self._seconds.items():
            of_model.setdefault(run.config.run.model_name, []).append(seconds)
        everything = statistics.mean(self._seconds.values())
        left = 0.0
        for run, status in self._statuses.items():
            if not status.over:
                known = of_model.get(run.config.run.model_name)
                expected = statistics.mean(known) if known else everything
                spent = time.monotonic() - self._running[run] if run in self._running else 0.0
                left += max(expected - spent, 0.0)
        return left / self._jobs

    def _table(self) -> Table:
        protocols = list(dict.fromkeys(run.protocol for run in self._runs))
        table = Table()
        table.add_column("model")
        for protocol in protocols:
            table.add_column(protocol)
        for name in dict.fromkeys(run.name for run in self._runs):
            cells = []
            for protocol in protocols:
                found = [run for run in self._runs if (run.name, run.protocol) == (name, protocol)]
                cells.append("".join(_SYMBOLS[self._statuses[run]] for run in found))
            table.add_row(name, *cells)
        return table


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
