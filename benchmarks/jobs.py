"""Whole training jobs from the command line, as a user starts them, and what they cost."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from prerank.errors import InputError

ROOT = Path(__file__).parent.parent
SCRIPT = "train_movielens_whole_models.py"
UNITS = {"wall": "s", "cpu": "s", "system": "s", "page faults": "", "peak": "MB"}
"""What :func:`job` measures, with its unit."""


def job(flags: Sequence[str], environment: Mapping[str, str] | None = None, root: Path = ROOT) -> dict[str, float]:
    """Run the training script once, in a process of its own.

    Args:
        flags: of the script.
        environment: variables beside those of this process.
        root: the checkout whose script it is.

    Returns:
        The process's figures by name, see :data:`UNITS`.

    Raises:
        InputError: the script failed; with the last line that it wrote.
    """
    command = [sys.executable, SCRIPT, *flags]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said = process.stderr.read().decode(errors="replace") if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        raise InputError(f"{SCRIPT} failed: {said.strip().splitlines()[-1] if said.strip() else status}")
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "system": usage.ru_stime,
        "page faults": float(usage.ru_minflt + usage.ru_majflt),
        "peak": usage.ru_maxrss / 1024,
    }
