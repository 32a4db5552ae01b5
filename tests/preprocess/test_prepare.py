"""A prepared data set is reused, appears whole or not at all, and survives what interrupts it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from preprocess import prepare as prepare_module
from preprocess import writing
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from prerank.errors import InputError

ROOT = Path(__file__).parents[2]


class Run:
    """Prepares one folder, and keeps what was reported."""

    def __init__(self, data_path, folder):
        self.data_path, self.folder, self.lines = data_path, folder, []

    def __call__(self, **options):
        options = DataOptions(data_path=self.data_path, prepared_dir=self.folder, **options)
        self.lines.clear()
        return prepare(ADAPTER, options, report=self.lines.append)

    @property
    def reused(self):
        return any(line.startswith("reusing") for line in self.lines)


@pytest.fixture
def run(small, tmp_path):
    return Run(small.write_ml_1m(tmp_path / "raw"), tmp_path / "out")


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_second_run_reuses_the_first(run):
    first = run()
    assert not run.reused
    times = {path: path.stat().st_mtime_ns for path in first.path.rglob("*")}
    second = run()
    assert run.reused
    assert second == first
    assert times == {path: path.stat().st_mtime_ns for path in second.path.rglob("*")}
    assert PreparedData.open(first.path).spec == first.spec


def test_the_folder_holds_what_is_documented_and_nothing_else(run):
    first = run()
    assert first.path == run.folder / "movielens" / first.fingerprint
    names = ["age", "gender", "genres", "movie_id", "occupation", "user_id"]
    files = [f"{part}/part-00000.parquet" for part in ("test", "train", "validation")]
    files += ["catalogue.parquet", "manifest.json", *(f"vocabularies/{name}.parquet" for name in names)]
    found = sorted(str(path.relative_to(first.path)) for path in first.path.rglob("*") if path.is_file())
    assert found == sorted(files)
    assert os.listdir(run.folder) == ["movielens"]
    assert os.listdir(run.folder / "movielens") == [first.fingerprint]


@pytest.mark.parametrize(
    "options", [{"max_history": 3}, {"state": "frozen"}, {"leak": ("scaler",)}, {"sample_rate": 0.9}]
)
def test_another_option_makes_another_one(run, options):
    assert run().fingerprint != run(**options).fingerprint
    assert not run.reused


def test_the_same_thing_said_otherwise_is_the_same(run):
    first = run()
    assert run(split="time", state="online", leak=("none",)).fingerprint == first.fingerprint
    assert run.reused


def test_a_changed_raw_file_makes_another_one(run):
    first = run()
    with (run.data_path / "ratings.dat").open("a") as file:
        file.write("1::1::5::978300760\n")
    assert run().fingerprint != first.fingerprint
    assert not run.reused


def test_two_runs_of_the_same_are_equal_byte_for_byte(run):
    def contents(path):
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}

    first = contents(run().path)
    run.folder = run.folder.with_name("again")
    assert contents(run().path) == first


def test_rows_are_written_in_files_of_limited_size(run, monkeypatch):
    whole = run()
    monkeypatch.setattr(writing, "ROWS_PER_FILE", 256)
    run.folder = run.folder.with_name("again")
    pieces = run()
    assert len(pieces.parts("train")) > 1
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = lambda prepared: pa.concat_tables(pq.read_table(file) for file in prepared.parts("train"))  # noqa: E731
    assert read(pieces).equals(read(whole))
    assert pieces.spec["user_mean_rating"].mean == whole.spec["user_mean_rating"].mean


@pytest.mark.parametrize("damage", ["missing part", "truncated part", "manifest"])
def test_a_damaged_folder_is_prepared_again(run, damage):
    first = run()
    part = first.parts("train")[0]
    if damage == "missing part":
        part.unlink()
    elif damage == "truncated part":
        part.write_bytes(part.read_bytes()[:1000])
    else:
        (first.path / "manifest.json").write_text("{")
    with pytest.raises(InputError):
        PreparedData.open(first.path)
    assert run().rows("train") == first.rows("train")
    assert run.lines[0].startswith("preparing again")
    assert part.exists()


def test_two_at_once_prepare_once(run, monkeypatch):
    results, started = [], []
    monkeypatch.setattr(
        prepare_module, "_write", lambda *args, original=prepare_module._write: (started.append(1), original(*args))
    )
    others = [Run(run.data_path, run.folder) for _ in range(3)]
    threads = [threading.Thread(target=lambda other=other: results.append(other())) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    assert len(results) == 3
    assert sum(other.reused for other in others) == 2


def test_an_error_half_way_leaves_nothing(run, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_table", fail)
    with pytest.raises(InputError, match="cannot write: .*No space left on device"):
        run()
    assert not run.folder.exists()


def test_an_interrupt_leaves_nothing(run, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "write_table", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not run.folder.exists()


def test_a_folder_that_cannot_be_made(run):
    run.folder.write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        run()


CHILD = """
import os, resource, signal, sys
from preprocess import writing
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
how, data_path, folder = sys.argv[1:]
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
if how == "killed":
    writing.write_table = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
try:
    prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=folder))
except InputError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def child(how, run):
    command = [sys.executable, "-c", CHILD, how, str(run.data_path), str(run.folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=run.data_path, env=environment)


def test_a_full_disk_gives_one_line_and_leaves_nothing(run):
    result = child("full", run)
    assert result.returncode == 2, result.stderr
    assert "cannot write" in result.stderr.splitlines()[-1]
    assert not run.folder.exists()


def test_a_killed_run_leaves_nothing_that_looks_finished(run):
    result = child("killed", run)
    assert result.returncode == -signal.SIGKILL
    left = everything(run.folder)
    assert any(name.endswith("train/part-00000.parquet") for name in left)
    assert not any("manifest" in name for name in left)
    prepared = run()
    assert not run.reused
    assert os.listdir(run.folder / "movielens") == [prepared.fingerprint]


PAIRS = """
import multiprocessing, sys, time
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError


def work(data_path, folder, go, delay, found):
    go.wait()
    time.sleep(delay)
    try:
        prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=folder), lambda line: None)
        found.put((data_path, "prepared"))
    except InputError as error:
        found.put((data_path, str(error)))


context = multiprocessing.get_context("fork")
good, bad, folder = sys.argv[1:]
for number, delays in enumerate([(0, 0.05), (0.05, 0), (0, 0), (0.1, 0)]):
    go, found = context.Event(), context.Queue()
    processes = [
        context.Process(target=work, args=(data_path, f"{folder}/{number}", go, delay, found))
        for data_path, delay in zip((good, bad), delays)
    ]
    for process in processes:
        process.start()
    go.set()
    results = dict(found.get(timeout=100) for _ in processes)
    for process in processes:
        process.join()
    assert results[good] == "prepared", results
    assert "ratings.dat, line 200: a rating is 1, 2, 3, 4 or 5. Received: 9" in results[bad], results
"""


def test_of_pairs_of_processes_into_a_new_folder_the_one_with_good_data_prepares_it(run, small, tmp_path):
    """In any order; the one with bad data deletes the folder that it made, while the other waits for it or makes it."""
    bad = small.write_ml_1m(tmp_path / "bad")
    lines = (bad / "ratings.dat").read_text().splitlines()
    lines[199] = "1::2::9::5"
    (bad / "ratings.dat").write_text("".join(f"{line}\n" for line in lines))
    command = [sys.executable, "-c", PAIRS, str(run.data_path), str(bad), str(run.folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for number in range(4):
        assert os.listdir(run.folder / str(number)) == ["movielens"]
        (prepared,) = (run.folder / str(number) / "movielens").iterdir()
        assert PreparedData.open(prepared)
