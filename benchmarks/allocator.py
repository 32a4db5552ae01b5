"""What keeping freed memory does for whole training jobs, see :mod:`prerank.allocator`.

    python -m benchmarks.allocator --data_path ml-1m --models dssm,hit --rounds 3

Each model is trained in turn with glibc's own thresholds and with ours, for `--rounds` rounds, every time by
`train_movielens_whole_models.py` in a process of its own. Preparation is done once before. Prints medians and their
ratios: wall, CPU and system seconds, page faults, peak memory.
"""

import functools
import sys
import tempfile
from pathlib import Path

from benchmarks.alternation import alternate, medians, ratios, shown
from benchmarks.jobs import UNITS, job
from prerank.allocator import SWITCH
from prerank.terminal import Parser, positive, run, write

GLIBC, KEPT = "glibc's own thresholds", "freed memory kept"


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.allocator", description="Time training jobs by allocator settings.")
    parser.add_argument("--data_path", type=Path, required=True, help="MovieLens in the official layout")
    parser.add_argument("--models", default="dssm,hit,fit,int_tower", help="comma-separated; default: %(default)s")
    parser.add_argument("--rounds", type=positive, default=3, help="alternations; default: 3")
    parser.add_argument("--epoch", type=positive, default=1, help="epochs of each job; default: 1")
    parser.add_argument("--sample_rate", default="1.0", help="share of the users; default: all")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shared = ["--data_path", str(flags.data_path.resolve()), "--prepared_dir", f"{scratch}/prepared", "--device"]
        shared += ["cpu", "--output_dir", f"{scratch}/runs", "--overwrite", "--sample_rate", flags.sample_rate]
        job([*shared, "--prepare_only"])
        for model in flags.models.split(","):
            one = [*shared, "--model_name", model, "--epoch", str(flags.epoch)]
            sides = {
                GLIBC: functools.partial(job, one, {SWITCH: "default"}),
                KEPT: functools.partial(job, one),
            }
            found = alternate(sides, flags.rounds, write)
            write(f"{model}, {flags.rounds} rounds")
            before, after = (medians(found[side]) for side in (GLIBC, KEPT))
            for name, unit in UNITS.items():
                ratio = shown(ratios(found, KEPT, GLIBC, name))
                write(f"  {f'{name} {unit}':14}{before[name]:14,.1f} ->{after[name]:14,.1f}   ratio {ratio}")


if __name__ == "__main__":
    sys.exit(run(_main))
