"""What keeping freed memory does for whole training jobs, see :mod:`prerank.allocator`.

    python -m benchmarks.allocator --data_path ml-1m --models dssm,hit --rounds 3

Each model is trained in turn with glibc's own thresholds and with ours, for `--rounds` rounds, every time by
`train_movielens_whole_models.py` in a process of its own. Preparation is done once before. Prints medians and their
ratios: wall, CPU and system seconds, page faults, peak memory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prerank.allocator import SWITCH
from prerank.errors import InputError
from prerank.terminal import Parser, positive, run, write

_SCRIPT = "train_movielens_whole_models.py"
_FIGURES = ("wall s", "CPU s", "system s", "page faults", "peak MB")


def _train(model: str, flags: list[str], ours: bool) -> tuple[float, ...]:
    """Train once and return the figures of the process.

    Raises:
        InputError: the script failed.
    """
    environment = {**os.environ} if ours else {**os.environ, SWITCH: "default"}
    command = [sys.executable, _SCRIPT, "--model_name", model, *flags]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode(errors="replace") if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        raise InputError(f"{_SCRIPT} failed: {said.strip().splitlines()[-1] if said.strip() else status}")
    faults = usage.ru_minflt + usage.ru_majflt
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_stime, float(faults), usage.ru_maxrss / 1024


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.allocator", description="Time training jobs by allocator settings.")
    parser.add_argument("--data_path", type=Path, required=True, help="MovieLens in the official layout")
    parser.add_argument("--models", default="dssm,hit,fit,int_tower", help="comma-separated; default: %(default)s")
    parser.add_argument("--rounds", type=positive, default=3, help="alternations; default: 3")
    parser.add_argument("--epoch", type=positive, default=1, help="epochs of each job; default: 1")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shared = ["--data_path", str(flags.data_path), "--prepared_dir", f"{scratch}/prepared", "--epoch"]
        shared += [str(flags.epoch), "--device", "cpu", "--output_dir", f"{scratch}/runs", "--overwrite"]
        _train("target_means", shared, ours=True)  # prepares
        for model in flags.models.split(","):
            found: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
            for _ in range(flags.rounds):
                for ours in (False, True):
                    found[ours].append(_train(model, shared, ours))
            write(f"{model}, {flags.rounds} rounds")
            for place, name in enumerate(_FIGURES):
                before, after = (statistics.median(row[place] for row in found[ours]) for ours in (False, True))
                ratios = [b[place] / a[place] for a, b in zip(found[False], found[True], strict=True)]
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                write(f"  {name:12}{before:14,.1f} ->{after:14,.1f}   ratio {spread}")


if __name__ == "__main__":
    sys.exit(run(_main))
