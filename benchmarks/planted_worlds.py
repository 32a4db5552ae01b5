"""Pre-rankers on generated requests whose truth is known: what the final list of a cascade loses.

    python -m benchmarks.planted_worlds --out docs/results/planted_worlds
    python -m benchmarks.planted_worlds --out docs/results/planted_worlds --table models --worlds mild --seeds 0
    python -m benchmarks.planted_worlds --quick

For each world and seed: generates requests (`python -m preprocess.generate requests`), trains each model through the
training script, and judges the pre-rankers as `benchmark.py cascade` does. The first compares `dssm` and `hit` with
default options, which learn from rated rows only, with the same models trained for the whole catalogue. The second does
so for each way of training and more models. Tables are in OUT/README.md, all numbers in OUT/<table>.csv. Data, runs and
records are left in `--work_dir`, and nothing there is made twice. If the command is killed, the same command resumes.
If `--max_hours` are up, the tables show what is trained by then.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.worlds.design import BIASES, FULL, QUICK, TABLES
from preprocess.generate.requests import Bias
from prerank.errors import InputError
from prerank.terminal import Parser, hours, run_resumable, seeds

_WORK = Path("results/planted_worlds")


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        InputError: wrong flags, or a run has failed.
        KeyboardInterrupt: it was interrupted.
    """
    parser = Parser(prog="python -m benchmarks.planted_worlds", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", choices=list(TABLES), default="aim", help="what is compared; default: aim")
    parser.add_argument("--worlds", default=",".join(BIASES), help=f"exposure bias; default: {','.join(BIASES)}")
    parser.add_argument("--seeds", default="0,1,2", help="of the worlds and of training; default: 0,1,2")
    parser.add_argument("--work_dir", type=Path, default=_WORK, help=f"data, runs and records; default: {_WORK}")
    parser.add_argument("--out", type=Path, help="folder of the tables; default: as --work_dir")
    parser.add_argument("--max_hours", type=hours, metavar="H", help="stop training after so many hours")
    parser.add_argument("--quick", action="store_true", help="small worlds and one epoch: to see that it works")
    flags = parser.parse_args(arguments)
    worlds = [(bias, seed) for seed in seeds(flags.seeds) for bias in _biases(flags.worlds)]

    from benchmarks.worlds.results import write  # TensorFlow, which help does without
    from benchmarks.worlds.world import World
    from experiments.runner import Deadline

    size, deadline = QUICK if flags.quick else FULL, Deadline(flags.max_hours)
    table, work = TABLES[flags.table], flags.work_dir / ("quick" if flags.quick else "full")
    for bias, seed in worlds:
        world = World(work / f"{bias}-{seed}", bias, seed, size)
        world.generate()
        whole = world.train(table, deadline)
        if whole or world.is_begun(table):
            world.judge(table)
            write(flags.out or flags.work_dir, work, size)
        if not whole:
            print("not all runs are done, and the tables show what is: the same command resumes")
            return


def _biases(text: str) -> list[Bias]:
    names = text.split(",")
    if (unknown := [name for name in names if name not in BIASES]) or len(set(names)) < len(names):
        received = ", ".join(unknown) or text
        raise InputError(f"--worlds: choose of {', '.join(BIASES)}, each once. Received: {received}")
    return [bias for name in names for bias in BIASES if bias == name]


if __name__ == "__main__":
    sys.exit(run_resumable(lambda: main(sys.argv[1:])))
