"""Trains on a GPU and on the CPU of the same machine, and prints the table for docs/performance.md; five minutes.

    pip install -r requirements-gpu.txt
    python -m benchmarks.gpu_check

Each line is a whole job of the training script on the same generated ratings. The AUC of the lines agrees within 0.01,
or the command ends with exit code 1: the GPU computes something else.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.jobs import ROOT, job
from benchmarks.machine import machine
from prerank.errors import InputError
from prerank.terminal import Parser, positive, run, write

_WAYS = {
    "CPU": ("--device", "cpu"),
    "GPU": ("--device", "gpu"),
    "GPU, `--mixed_precision`": ("--device", "gpu", "--mixed_precision"),
    "GPU, `--jit`": ("--device", "gpu", "--jit"),
}
_APART = 0.01


def _gpus() -> list[str]:
    """The names of the GPUs that TensorFlow sees, found in a process that frees them again."""
    code = (
        "import json, legacy_keras, tensorflow as tf; found = tf.config.list_physical_devices('GPU');"
        "print(json.dumps([tf.config.experimental.get_device_details(gpu).get('device_name', gpu.name) "
        "for gpu in found]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _main() -> None:
    parser = Parser(prog="python -m benchmarks.gpu_check", description="Compare training on a GPU with the CPU.")
    parser.add_argument("--models", default="dssm,hit", help="comma-separated; default: %(default)s")
    parser.add_argument("--rows", type=positive, default=300_000, help="generated ratings; default: 300,000")
    parser.add_argument("--epoch", type=positive, default=3, help="epochs of each job; default: 3")
    flags = parser.parse_args()
    gpus = _gpus()
    if not gpus:
        raise InputError("TensorFlow sees no GPU: see docs/performance.md for what it needs")
    apart = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "ratings"
        command = [sys.executable, "-m", "preprocess.generate", "--dataset", "movielens", "--rows", str(flags.rows)]
        subprocess.run([*command, "--out", str(data)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        shared = ["--data_path", str(data), "--prepared_dir", f"{scratch}/prepared", "--epoch", str(flags.epoch)]
        job([*shared, "--prepare_only"])
        write(f"{', '.join(gpus)}; {machine()['processor']}; {machine()['versions']}")
        write("| model | | wall, s | examples/s | test AUC |\n| --- | --- | --- | --- | --- |")
        for model in flags.models.split(","):
            found = []
            for number, (way, more) in enumerate(_WAYS.items()):
                runs = f"{scratch}/{model}-{number}"
                figures = job([*shared, *more, "--model_name", model, "--output_dir", runs])
                metrics = json.loads(next(Path(runs).rglob("metrics.json")).read_text("utf-8"))
                speed, auc = metrics["examples_per_second"], metrics["test"]["auc"]
                found.append(auc)
                write(f"| `{model}` | {way} | {figures['wall']:.1f} | {speed:,.0f} | {auc:.4f} |")
            apart = max(apart, max(found) - min(found))
    if apart > _APART:
        raise SystemExit(f"error: the AUC differs by {apart:.4f}")


if __name__ == "__main__":
    sys.exit(run(_main))
