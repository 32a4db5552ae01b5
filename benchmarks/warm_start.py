"""A model that goes on day by day beside one trained from scratch each day: `python -m benchmarks.warm_start`.

Logs of Taobao's layout are generated and cut into days. Each day's model is tested on the next day. From scratch, it is
trained on all rows so far. Warm, it begins with the model of the day before and is trained on the rows of its own day.
"""

import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from preprocess.generate.taobao import generate
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from prerank.terminal import Parser, positive, run, write
from training.config import parse
from training.earlier import going_on
from training.trainer import train

_DAY, _FIRST, _MIDNIGHT = 86_400, date(2017, 5, 6), 1_494_000_000
_LOGS = {"raw_sample.csv": "time_stamp", "behavior_log.csv": "time_stamp"}
_OF_ALL = ("ad_feature.csv", "user_profile.csv")


@dataclass(frozen=True)
class Way:
    """One of the two ways on one day.

    Attributes:
        auc: on the rows of the next day.
        seconds, cpu: wall time and CPU time of preparation, training and test.
        epochs: epochs trained.
    """

    auc: float
    seconds: float
    cpu: float
    epochs: int


@dataclass(frozen=True)
class Day:
    """A day, and what both ways gave."""

    number: int
    scratch: Way
    warm: Way


class Walk:
    """Both ways through some days.

    Args:
        folder: an empty folder for everything.
        rows: impressions of a day, about.
        flags: options of every training, as on the command line.
        warm_epochs: epochs of a warm start.
        clicks: share of impressions with a click.
    """

    def __init__(self, folder: Path, rows: int, flags: list[str], warm_epochs: int = 1, clicks: float = 0.25):
        self._folder, self._flags, self._warm_epochs = folder, flags, warm_epochs
        raw = folder / "whole"
        generate(raw, rows=8 * rows, behaviours=8 * rows, clicks=clicks)
        self._logs = {name: pd.read_csv(raw / name, dtype=str) for name in _LOGS}
        self._last: Path | None = None

    def day(self, number: int) -> Day:
        """Train on a day, the first of which is 0, in both ways. Days have to come in their order."""
        scratch = self._train(number, 0, ["--save_state", "before_test"] if number == 0 else [])
        if self._last is None:
            self._last = scratch[1]
            return Day(number, scratch[0], scratch[0])
        more = ["--init_from", str(self._last), "--save_state", "before_test", "--epoch", str(self._warm_epochs)]
        warm, self._last = self._train(number, number, more)
        return Day(number, scratch[0], warm)

    def _train(self, number: int, first: int, more: list[str]) -> tuple[Way, Path]:
        raw = self._raw(first, number + 1)
        test = (_FIRST + timedelta(days=number + 1)).isoformat()
        places = ["--prepared_dir", str(self._folder / "prepared"), "--output_dir", str(self._folder / "runs")]
        argv = ["--data_path", str(raw), "--test_from", test, *places, *self._flags, *more]
        began, cpu = time.perf_counter(), time.process_time()
        config = going_on(parse(argv, program="warm_start", description=""))
        result = train(config, prepare(ADAPTER, config.data, _silent), _silent)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        return Way(result.metrics["test"]["auc"], took, used, result.metrics["epochs"]), result.folder

    def _raw(self, first: int, last: int) -> Path:
        """The rows of some days as files of their own; the first day has all behaviours before it, too."""
        folder = self._folder / f"days{first}-{last}"
        folder.mkdir(exist_ok=True)
        for name, column in _LOGS.items():
            log = self._logs[name]
            day = (log[column].astype("int64") - _MIDNIGHT) // _DAY
            chosen = log[(day <= last) & ((day >= first) | (first == 0))]
            chosen.to_csv(folder / name, index=False, quoting=csv.QUOTE_NONE)
        for name in _OF_ALL:
            (folder / name).write_bytes((self._folder / "whole" / name).read_bytes())
        return folder


def _silent(_: str) -> None:
    pass


def walked(walk: Walk, days: int, report: Callable[[str], object]) -> list[Day]:
    """All days, each reported as a line of a table."""
    report("| day | AUC from scratch | AUC warm | epochs | seconds from scratch | warm | CPU s from scratch | warm |")
    report("| --- | --- | --- | --- | --- | --- | --- | --- |")
    found = []
    for number in range(days):
        day = walk.day(number)
        scratch, warm = day.scratch, day.warm
        report(
            f"| {number + 1} | {scratch.auc:.4f} | {warm.auc:.4f} | {scratch.epochs} and {warm.epochs} "
            f"| {scratch.seconds:.1f} | {warm.seconds:.1f} | {scratch.cpu:.1f} | {warm.cpu:.1f} |"
        )
        found.append(day)
    return found


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.warm_start", description="Warm start beside training from scratch.")
    parser.add_argument("--rows", type=positive, default=100_000, help="impressions of a day; default: 100,000")
    parser.add_argument("--days", type=positive, default=5, help="days walked, at most 7; default: 5")
    parser.add_argument("--model_name", default="dssm", help="default: dssm")
    parser.add_argument("--warm_epochs", type=positive, default=1, help="epochs of a warm start; default: 1")
    given = parser.parse_args()
    if not 2 <= given.days <= 7:
        parser.error(f"--days: expected 2 to 7. Received: {given.days}")
    flags = ["--model_name", given.model_name, "--batch_size", "512", "--epoch", "10", "--patience", "1"]
    with tempfile.TemporaryDirectory() as folder:
        days = walked(Walk(Path(folder), given.rows, flags, given.warm_epochs), given.days, write)
    later = days[1:]
    difference = statistics.mean(day.warm.auc - day.scratch.auc for day in later)
    write(f"\nWarm less from scratch, mean of {len(later)} days: AUC {difference:+.4f}")
    for name in ("seconds", "cpu"):
        share = [getattr(day.warm, name) / getattr(day.scratch, name) for day in later]
        write(f"{name}: warm takes {statistics.mean(share):.2f} of from scratch; {share[-1]:.2f} on the last day")


if __name__ == "__main__":
    sys.exit(run(_main))
