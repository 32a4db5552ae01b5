"""How time and memory of preparation and training grow with the number of rows, up to the official size.

    python -m benchmarks.scale --work_dir DIR
    python -m benchmarks.scale --work_dir DIR --behaviours 100000000
    python -m benchmarks.scale --work_dir DIR --dataset amazon

For each number of rows: generates the official files (Taobao's by default), prepares them under `strict`, and trains
DSSM for an epoch from what was prepared. Each is a process of its own, whose seconds and largest resident set are
printed, as a table too. The second gives the largest data a log of so many behaviours, and the others in proportion.
What was generated and prepared is left in `--work_dir` (20 GB for Taobao's full size with a log) and generated no more
than once.
"""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from prerank.csv_rows import read_numbers
from prerank.errors import InputError
from prerank.options import Options as DecimalOptions
from prerank.reading import problem

FULL_ROWS = {"taobao": 26_557_961, "movielens": 1_000_209, "amazon": 1_689_188}
"""Of the official files; Amazon's are those of Electronics."""
_ROOT = Path(__file__).parent.parent


class Options(DecimalOptions, BaseSettings):
    """What to measure."""

    model_config = SettingsConfigDict(
        cli_prog_name="benchmarks.scale", cli_exit_on_error=False, cli_implicit_flags=True, cli_avoid_json=True
    )

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, *_, **__):
        """Flags alone: no variable of the environment is an option."""
        return (init_settings,)

    work_dir: Path = Field(description="folder for the data; kept")
    dataset: Literal["taobao", "movielens", "amazon"] = Field("taobao", description="which data")
    rows: tuple[PositiveInt, ...] = Field(
        (), description="rows, comma-separated; default: the official size, of taobao 1,000,000 and 5,000,000 too"
    )
    behaviours: NonNegativeInt = Field(0, description="lines of the largest data's behavior_log.csv")
    model_name: str = Field("dssm", description="model to train; none for no training")
    engine: str = Field("duckdb", description="what prepares the data")
    csv: Path | None = Field(None, description="csv file to add the figures to")


@dataclass(frozen=True)
class Figures:
    """Of one number of rows.

    Attributes:
        dataset: which.
        rows, behaviours: lines of the main file, and of Taobao's behavior_log.csv.
        generate_s, prepare_s, train_s: wall time of each process; training with reading, evaluation and start.
        generate_gb, prepare_gb, train_gb: largest resident set of each, files mapped into memory included; 10^9 bytes.
        examples_per_second: of the training epoch itself; 0 if there was none.
        prepared_gb: size of what was prepared.
    """

    dataset: str
    rows: int
    behaviours: int
    generate_s: float
    generate_gb: float
    prepare_s: float
    prepare_gb: float
    train_s: float
    train_gb: float
    examples_per_second: float
    prepared_gb: float


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark and return the exit code."""
    try:
        options = Options(_cli_parse_args=list(arguments))  # type: ignore[call-arg]
    except (SettingsError, ValidationError) as error:
        reason = problem(error, {}) if isinstance(error, ValidationError) else str(error)
        print(f"error: {InputError(reason)}", file=sys.stderr)
        return 2
    smaller = (1_000_000, 5_000_000) if options.dataset == "taobao" else ()
    sizes = options.rows or (*smaller, FULL_ROWS[options.dataset])
    found = []
    for rows in sizes:
        figures = _measured(options, rows, options.behaviours * rows // max(sizes))
        found.append(figures)
        if options.csv:
            _add(options.csv, figures)
    print("\n".join(_table(found)))
    return 0


def _measured(options: Options, rows: int, behaviours: int) -> Figures:
    folder = options.work_dir / f"{options.dataset}-{rows}-{behaviours}"
    script = f"train_{options.dataset}_whole_models.py"
    raw, prepared, runs = folder / "raw", folder / f"prepared-{options.engine}", folder / "runs"
    generated = (0.0, 0.0)
    if not raw.exists():
        log = ["--behaviours", str(behaviours)] if behaviours else []
        generate = [
            "-m",
            "preprocess.generate",
            "--dataset",
            options.dataset,
            "--rows",
            str(rows),
            "--out",
            str(raw),
            *log,
        ]
        generated = _run("generate", rows, generate)
    for old in (prepared, runs):
        shutil.rmtree(old, ignore_errors=True)
    flags = ["--data_path", str(raw), "--prepared_dir", str(prepared), "--engine", options.engine]
    in_preparation = _run("prepare", rows, [script, *flags, "--prepare_only"])
    in_training, speed = (0.0, 0.0), 0.0
    if options.model_name != "none":
        train = ["--model_name", options.model_name, "--epoch", "1", "--output_dir", str(runs)]
        in_training = _run("train", rows, [script, *flags, *train])
        speed = _examples_per_second(runs)
    size = sum(file.stat().st_size for file in prepared.rglob("*") if file.is_file())
    return Figures(options.dataset, rows, behaviours, *generated, *in_preparation, *in_training, speed, size / 1e9)


def _run(what: str, rows: int, command: Sequence[str]) -> tuple[float, float]:
    """Seconds and largest resident set, in 10^9 bytes, of a process of this Python."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], cwd=_ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if process_code := os.waitstatus_to_exitcode(status):
        raise SystemExit(process_code)
    seconds, memory = time.monotonic() - started, usage.ru_maxrss * 1024 / 1e9
    print(f"{what} {rows:,} rows: {seconds:.0f} s, {memory:.1f} GB", flush=True)
    return seconds, memory


def _examples_per_second(runs: Path) -> float:
    (history,) = runs.rglob("history.csv")
    return read_numbers(history, ["examples_per_second"])[0]["examples_per_second"]


def _add(path: Path, figures: Figures) -> None:
    """Add a line to a csv file, with its header if it is new."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figures)], lineterminator="\n")
        if new:
            writer.writeheader()
        rounded = {
            name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(figures).items()
        }
        writer.writerow(rounded)


def _table(found: Sequence[Figures]) -> list[str]:
    lines = [
        "| rows | behaviours | prepare, s | s per million | peak, GB | on disk, GB | train, examples/s | peak, GB |",
        "| --- " * 8 + "|",
    ]
    for row in found:
        lines.append(
            f"| {row.rows:,} | {row.behaviours:,} | {row.prepare_s:.0f} | {row.prepare_s / row.rows * 1e6:.1f} "
            f"| {row.prepare_gb:.1f} | {row.prepared_gb:.1f} | {row.examples_per_second:,.0f} | {row.train_gb:.1f} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
