"""The commands of `benchmark.py`. Each imports what it needs when it runs: help needs none of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import models
from experiments.ablations import PRESETS, ablations
from experiments.defaults import ENDS, POOL, PUBLISHED, QUOTAS, RANKER, USERS
from experiments.scripts import OWN, datasets, script, script_of
from preprocess.addresses import located
from prerank.errors import InputError
from prerank.locks import LOCK, locked
from prerank.numbers import integer
from prerank.terminal import Parser, flag, hours, positive, random_seed, seeds

if TYPE_CHECKING:
    from experiments.runs import Run

RESULTS = Path("results")
_PROTOCOLS = ("strict", "reference")


def parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="benchmark.py", description="Models x data sets x protocols x seeds, and a report on them.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_ablate(commands)
    _add_tune(commands)
    _add_measure(commands)
    _add_cascade(commands)
    _add_report(commands)
    return parser


def main(argv: list[str]) -> None:
    """Run one command.

    Raises:
        InputError: wrong flags or data.
        KeyboardInterrupt: it was interrupted.
        SystemExit: help was asked for.
    """
    flags = parser().parse_args(argv)
    try:
        flags.action(flags)
    except OSError as error:
        raise InputError(f"cannot be read or written: {error.strerror or error}", path=error.filename) from error


def _add_run(commands) -> None:
    parser = commands.add_parser("run", help="train what is not yet trained", description=run_command.__doc__)
    _add_data(parser)
    parser.add_argument("--models", default="all", help="all, or names, comma-separated; default: all")
    parser.add_argument("--tuned", action="store_true", help="with the best options that `tune` found")
    _add_out(parser)
    _add_series(parser, seeds="0,1,2")
    parser.set_defaults(action=run_command)


def _add_ablate(commands) -> None:
    parser = commands.add_parser(
        "ablate", help="train models with one thing changed at a time", description=ablate_command.__doc__
    )
    _add_data(parser)
    every = ",".join(PRESETS)
    parser.add_argument("--presets", default=every, help=f"which series of changes; default: {every}")
    _add_series(parser, seeds="0")
    parser.set_defaults(action=ablate_command)


def _add_series(parser, seeds: str) -> None:
    parser.add_argument("--protocols", default="strict,reference", help="default: strict,reference")
    parser.add_argument("--seeds", default=seeds, help=f"default: {seeds}")
    parser.add_argument("--jobs", type=positive, default=1, help="runs at once; default: 1")
    parser.add_argument("--max_hours", type=hours, metavar="H", help="stop after so many hours, to go on another time")
    parser.add_argument("--retry_failed", action="store_true", help="also what failed by itself before")
    parser.add_argument("options", nargs="*", metavar="key=value", help="further options of the training script")


def _add_tune(commands) -> None:
    parser = commands.add_parser("tune", help="search for better options", description=tune_command.__doc__)
    _add_data(parser)
    named = parser.add_mutually_exclusive_group(required=True)
    named.add_argument("--model_name", help="the model")
    named.add_argument("--model", dest="model_name", action=_OldName, help=argparse.SUPPRESS)
    parser.add_argument("--protocol", choices=_PROTOCOLS, default="strict", help="default: strict")
    parser.add_argument(
        "--trials", type=positive, default=20, help="runs, those of earlier calls included; default: 20"
    )
    parser.add_argument("--seed", type=random_seed, default=0, help="of every run; default: 0")
    parser.add_argument("--max_hours", type=hours, metavar="H", help="stop after so many hours, to go on another time")
    _add_out(parser)
    parser.add_argument("options", nargs="*", metavar="key=value", help="options of the script that are not tuned")
    parser.set_defaults(action=tune_command)


class _OldName(argparse.Action):
    """A flag's old name, for one release: stores the value, and names the new one, which `dest` is."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        print(f"{option_string} is now --{self.dest}", file=sys.stderr)
        setattr(namespace, self.dest, values)


def _add_out(parser) -> None:
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"folder of the results; default: {RESULTS}")


def _add_measure(commands) -> None:
    parser = commands.add_parser(
        "measure", help="what the report needs of predictions and weights", description=measure_command.__doc__
    )
    _add_data(parser)
    parser.add_argument("--ranker", default=RANKER, help=f"ranking model; default: {RANKER}")
    parser.add_argument("--users", type=positive, default=USERS, help=f"test users asked; default: {USERS}")
    parser.set_defaults(action=measure_command)


def _add_cascade(commands) -> None:
    parser = commands.add_parser(
        "cascade", help="judge pre-rankers by a cascade's final list", description=cascade_command.__doc__
    )
    _add_data(parser)
    stage = "name[:key=value...] or the folder of a run"
    parser.add_argument("--protocol", choices=_PROTOCOLS, default="strict", help="default: strict")
    parser.add_argument(
        "--retrieval", required=True, help=f"{stage}; of several, the one with the highest recall on validation"
    )
    parser.add_argument("--prerankers", action="append", default=[], help=f"{stage}, comma-separated; may be repeated")
    parser.add_argument(
        "--ranker", "--rankers", dest="rankers", action="append", metavar="RANKERS",
        help=f"{stage}, comma-separated; may be repeated; default: {RANKER}",
    )  # fmt: skip
    parser.add_argument("--match_seeds", action="store_true", help="retrieval and ranker of the pre-ranker's seed")
    parser.add_argument("--pool", type=positive, default=POOL, help=f"items that retrieval passes on; default: {POOL}")
    quotas = ",".join(map(str, QUOTAS))
    parser.add_argument("--quotas", default=quotas, help=f"items that a pre-ranker passes on; default: {quotas}")
    parser.add_argument("--requests", type=positive, default=USERS, help=f"requests asked; default: {USERS}")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="default: test")
    every = ",".join(ENDS)
    parser.add_argument("--ends", default=every, help=f"ends of the scale, comma-separated, or none; default: {every}")
    _add_out(parser)
    parser.set_defaults(action=cascade_command)


def _add_report(commands) -> None:
    collecting = commands.add_parser(
        "collect", help="keep the runs' small files for the report", description=collect_command.__doc__
    )
    collecting.add_argument("--dataset", help="a training script's data sets, or one by its name; default: all")
    collecting.add_argument("--output_dir", type=Path, default=Path("runs"), help="folder of the runs; default: runs")
    _add_out(collecting)
    collecting.set_defaults(action=_holding_out(collect_command))
    reporting = commands.add_parser("report", help="write the report", description=report_command.__doc__)
    _add_out(reporting)
    reporting.add_argument(
        "--publish", action="store_true", help=f"write {PUBLISHED}, the pages in docs/ and README.md"
    )
    reporting.add_argument("--drop", action="store_true", help="publish even if published results would be gone")
    reporting.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="DATASET=DATA",
        help="publish: which data of a data set README.md and docs/ show; default: those that they show now",
    )
    reporting.set_defaults(action=_holding_out(report_command))


def _holding_out(command: Callable[[Any], None]) -> Callable[[Any], None]:
    """A command that holds its folder of results, so that no other one reads or writes there at the same time."""

    def held(flags) -> None:
        with locked(flags.out / LOCK, print):
            command(flags)

    return held


def _add_data(parser) -> None:
    parser.add_argument("--dataset", required=True, help=f"one of {', '.join([*datasets(), OWN])}")
    parser.add_argument(
        "--data_path", type=flag(located), help="raw data; default: as the training script looks for them"
    )
    parser.add_argument("--output_dir", type=Path, default=Path("runs"), help="folder of the runs; default: runs")


def run_command(flags) -> None:
    """Train every model asked for, under every protocol, with every seed, as far as that is not done yet.

    Each run is a process of its own of the data set's training script, and its folder is where that puts it. Killed
    and started again, the same command resumes.
    """
    from experiments.plan import chosen_models

    names = chosen_models(flags.models)
    _train(flags, lambda _: [(name, {}) for name in names], tuned=flags.out if flags.tuned else None)


def ablate_command(flags) -> None:
    """Train models with one thing about them, or about the protocol `reference`, changed at a time.

    As `run` does; what a change is compared with is the model's run with default options.
    """
    presets = flags.presets.split(",")
    if unknown := [name for name in presets if name not in PRESETS]:
        raise InputError(f"--presets: choose of {', '.join(PRESETS)}. Received: {', '.join(unknown)}")
    found = ablations(presets)
    _train(flags, lambda protocol: [(a.model, a.change) for a in found if a.protocol in (None, protocol)])


def tune_command(flags) -> None:
    """Search for the options of a model that give the best validation AUC, and keep them for `run --tuned`.

    Every model has the same budget and the same rules for what is tried. The runs are in OUTPUT_DIR/tuning.
    """
    from experiments.plan import Planner, overrides
    from experiments.runner import Deadline
    from experiments.tuned import tuned_file
    from experiments.tuning import Tuner

    chosen, fixed = script(flags.dataset), overrides(flags.options)
    folder = flags.output_dir / "tuning"
    planner = Planner(chosen, flags.data_path, folder)
    tuner = Tuner(planner, models.get(flags.model_name).name, flags.protocol, flags.seed, fixed, folder)
    whole = tuner.run(chosen.path, flags.trials, Deadline(flags.max_hours))
    best = tuner.best()
    path = tuned_file(flags.out, tuner.dataset, flags.protocol, flags.model_name)
    with locked(flags.out / LOCK, print):
        best.write(path)
    print(f"best validation AUC of {best.trials} trials: {best.validation_auc:.4f}: {path}")
    if not whole:
        print("not all trials are done: the same command resumes")


def _train(flags, changes: Callable[[str], list[tuple[str, dict[str, str]]]], tuned: Path | None = None) -> None:
    """Train a series of runs.

    Args:
        flags: the command's flags.
        changes: gives the models and their options under a protocol.
        tuned: folder of the results, if the options are to be those that were tuned.
    """
    from experiments import plan, statuses
    from experiments.progress import Display
    from experiments.runner import Deadline, execute
    from experiments.tuned import Tuned

    chosen = script(flags.dataset)
    values = plan.overrides(flags.options)
    planner = plan.Planner(chosen, flags.data_path, flags.output_dir)
    runs: dict[Path, plan.PlannedRun] = {}  # by folder: an option may be named at its default
    for seed in seeds(flags.seeds):
        for protocol in _protocols(flags.protocols):
            for model, change in changes(protocol):
                run = planner.run(model, protocol, seed, {**change, **values})
                if tuned:
                    best = Tuned.read(tuned, run.dataset, protocol, model)
                    run = planner.run(model, protocol, seed, {**best.options, **values})
                runs[run.folder.final] = run
                statuses.retry(run, flags.retry_failed)
    with Display(list(runs.values()), flags.jobs) as display:
        execute(chosen.path, runs.values(), display, jobs=flags.jobs, deadline=Deadline(flags.max_hours))


def measure_command(flags) -> None:
    """Bootstrap every finished run over the users of its test part, and compare its best items with a ranking model's.

    Both are kept as small files in the run's folder; what is there already is not done again.
    """
    from experiments.measuring import measure
    from experiments.plan import Planner

    models.get(flags.ranker)
    planner = Planner(script(flags.dataset), flags.data_path, flags.output_dir)
    measure(_runs_of(flags), planner, ranker=flags.ranker, users=flags.users)


def cascade_command(flags) -> None:
    """Judge pre-rankers by what they do for the final list of a cascade: retrieval, pre-ranking, ranking.

    A model is named by its name, or by name:key=value... with options beside the defaults; `seed` is a run's seed. The
    records are in OUT/cascade, with a page of tables and figures; what is there already is not judged again.
    """
    from experiments.cascade.bench import Asked
    from experiments.cascade.chosen import parse_all
    from experiments.cascade.command import Stages, cascade
    from experiments.cascade.page import show
    from experiments.plan import Planner

    chosen = Stages(
        parse_all([flags.retrieval], "--retrieval"),
        parse_all(flags.prerankers, "--prerankers"),
        parse_all(flags.rankers or [RANKER], "--ranker"),
        flags.match_seeds,
    )
    asked = Asked(flags.pool, _quotas(flags.quotas, flags.pool), flags.requests, flags.part, _ends(flags.ends))
    planner = Planner(script(flags.dataset), flags.data_path, flags.output_dir)
    runs = [run for run in _runs_of(flags) if run.setting.protocol == flags.protocol]
    records = cascade(runs, planner, chosen, asked, flags.out)
    with locked(flags.out / LOCK, print):
        told = show(records, flags.out)
    print("\n".join(told))


def _quotas(text: str, pool: int) -> tuple[int, ...]:
    try:
        quotas = [integer(word, 1, pool) for word in text.split(",")]
    except InputError as error:
        raise InputError(f"--quotas: expected integers of at most --pool, comma-separated: {error}") from error
    if len(set(quotas)) < len(quotas):
        raise InputError(f"--quotas: expected different integers. Received: {text!r}")
    return tuple(sorted(quotas, reverse=True))


def _ends(text: str) -> tuple[str, ...]:
    names = [] if text == "none" else text.split(",")
    if unknown := [name for name in names if name not in ENDS]:
        raise InputError(f"--ends: choose of {', '.join(ENDS)}, or none. Received: {', '.join(unknown)}")
    return tuple(dict.fromkeys(names))


def collect_command(flags) -> None:
    """Copy configuration, metrics, history and measurements of all runs to OUT/runs, where the report reads them."""
    from experiments.collect import collect

    folders = collect(_runs_of(flags), flags.out / "runs")
    print(f"collected {len(folders)} runs in {flags.out / 'runs'}")


def report_command(flags) -> None:
    """Write the report on the runs in OUT/runs: README.md, report.html, csv files and figures, in OUT.

    The page on judged pre-rankers in OUT/cascade is written anew too, if there are any.

    With --publish, add these runs to docs/results/runs instead, and write docs/results, the pages in docs/ and the
    tables in README.md from all runs there. Results that are published already may not be lost by that.
    """
    from experiments.cascade import page
    from experiments.report.build import build
    from experiments.report.entries import boards
    from experiments.report.publish import publish
    from experiments.runs import read_all

    if not flags.publish:
        if flags.drop or flags.data:
            raise InputError("--drop and --data belong to --publish")
        if flags.out.resolve() == PUBLISHED.resolve():
            raise InputError(f"--out {flags.out}: these results are published, --publish writes them")
        build(boards(read_all(flags.out / "runs")), flags.out)
        page.write(flags.out)
        print(f"report in {flags.out}")
        return
    if flags.out != RESULTS and not (flags.out / "runs").is_dir():
        raise InputError("--out: there is no folder of runs: collect them first", path=flags.out / "runs")
    for line in publish(flags.out, drop=flags.drop, data=_shown_data(flags.data)):
        print(line)


def _shown_data(texts: list[str]) -> dict[str, str]:
    """`--data` by data set."""
    pairs = [text.partition("=") for text in texts]
    if wrong := [text for text, pair in zip(texts, pairs, strict=True) if not (pair[0] and pair[2])]:
        raise InputError(f"--data takes DATASET=DATA. Received: {wrong[0]}")
    return {dataset: data for dataset, _, data in pairs}


def _runs_of(flags) -> list[Run]:
    """The runs of `--dataset`, or of all, below `--output_dir`."""
    from experiments.runs import read_all

    name = flags.dataset
    found = [
        run
        for run in read_all(flags.output_dir)
        if name in (None, run.setting.dataset, script_of(run.setting.dataset) or OWN)
    ]
    if not found:
        raise InputError(f"--output_dir: there is no run of {name or 'any data set'}", path=flags.output_dir)
    return found


def _protocols(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in _PROTOCOLS]:
        raise InputError(f"--protocols: choose of {', '.join(_PROTOCOLS)}. Received: {', '.join(unknown)}")
    return names
