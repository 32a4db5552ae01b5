"""Two worker processes on the loopback address, as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from preprocess.prepared import PreparedData
from training.batches import Batches
from training.config import parse
from training.trainer import train

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLAGS = [
    "--model_name", "dssm", "--dropout", "0", "--hidden_units", "32,16", "--embedding_dim", "8", "--batch_size", "256",
    "--oov_rate", "0", "--epoch", "4", "--patience", "9",
]  # fmt: skip
MOST_SECONDS = 600


def _addresses():
    """Two free ones."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def _start(folder, sample):
    """Both workers, at the same time."""
    addresses = _addresses()
    where = [
        "--data_path",
        str(sample),
        "--prepared_dir",
        str(folder / "prepared"),
        "--output_dir",
        str(folder / "runs"),
    ]
    workers = []
    for number in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        command = [sys.executable, str(HERE / "worker.py"), str(folder / f"rows{number}.npy")]
        workers.append(
            subprocess.Popen(
                [*command, *FLAGS, *where, "--strategy", "multi_worker"],
                env={**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    return workers


def _wait_for_an_epoch(folder, workers):
    deadline = time.monotonic() + MOST_SECONDS
    while not list(folder.glob("runs/**/progress.json")):
        assert time.monotonic() < deadline
        assert all(worker.poll() is None for worker in workers), [worker.communicate() for worker in workers]
        time.sleep(0.05)


def test_two_workers_lose_one_go_on_and_end_as_one_process(sample_folder, tmp_path):
    first, second = workers = _start(tmp_path, sample_folder)
    _wait_for_an_epoch(tmp_path, workers)
    second.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    said, errors = first.communicate(timeout=MOST_SECONDS)
    assert time.monotonic() - killed < 60
    assert first.returncode == 4, errors
    assert errors.splitlines()[-1].startswith("error: worker 1 ended or cannot be reached")
    both = said + second.communicate()[0]
    assert both.count("prepared ") == 1
    assert both.count("reusing ") == 1
    assert not list(tmp_path.glob("runs/**/metrics.json"))

    workers = _start(tmp_path, sample_folder)
    (chief_said, chief_errors), (other_said, other_errors) = [w.communicate(timeout=MOST_SECONDS) for w in workers]
    assert [worker.returncode for worker in workers] == [0, 0], chief_errors + other_errors
    assert "resuming after epoch" in chief_said
    assert "results in" in chief_said
    assert "results in" not in other_said
    _check_rows(tmp_path)
    _check_metrics(tmp_path)


def _prepared(folder):
    (manifest,) = folder.glob("prepared/**/manifest.json")
    return PreparedData.open(manifest.parent)


def _sorted(rows):
    return rows[np.lexsort(rows.T)]


def _check_rows(folder):
    from worker import COLUMNS

    data = _prepared(folder)
    columns = Batches(data, "train", 256).columns([*COLUMNS, data.spec.label])
    wanted = np.stack([columns[name] for name in (*COLUMNS, data.spec.label)], axis=1).astype(np.float32)
    parts = [np.load(folder / f"rows{number}.npy", allow_pickle=False) for number in range(2)]
    assert abs(len(parts[0]) - len(parts[1])) <= len(Batches(data, "train", 256))
    np.testing.assert_array_equal(_sorted(np.concatenate(parts)), _sorted(wanted))


def _check_metrics(folder):
    (file,) = folder.glob("runs/**/metrics.json")
    together = json.loads(file.read_text())
    assert not list(folder.glob("runs/**/*.partial"))
    config = parse([*FLAGS, "--output_dir", str(folder / "alone")], program="x", description="x")
    alone = train(config, _prepared(folder), lambda _: None).metrics
    assert (together["epochs"], together["best_epoch"]) == (alone["epochs"], alone["best_epoch"])
    for part in ("validation", "test"):
        for name in ("auc", "logloss", "gauc"):
            assert together[part][name] == pytest.approx(alone[part][name], abs=1e-3), (part, name)
    assert len((file.parent / "history.csv").read_text().splitlines()) == 5
