"""Records of the judge survive a kill at any call, and are made anew when their runs are."""

import json

import kills
import numpy as np
import pytest
from judged import GROUPS, write_record
from run_folders import write_run

from experiments.cascade import page, records
from experiments.cascade.entries import Entry, boards
from experiments.cascade.records import Record
from experiments.command_line import main
from prerank.errors import InputError


def test_a_record_is_read_as_it_was_written(tmp_path):
    folder = write_record(tmp_path, "dssm", value=0.25)
    (found,) = records.read_all(tmp_path)
    users, values = found.requests
    assert users.tolist() == GROUPS.tolist()
    assert values["recall@50"].shape == (12, 2)
    stored = found.fields["values"][1]["metrics"]["recall@50"]
    assert stored["mean"] == pytest.approx(values["recall@50"][:, 1].mean(), rel=1e-6)
    assert stored["low"] < stored["mean"] < stored["high"]
    assert records.exists(folder, {"preranker": "r"})
    assert not records.exists(folder, {"preranker": "other"})


def test_what_has_no_value_is_null(tmp_path):
    folder = write_record(tmp_path, "dssm", value=np.nan)
    found = json.loads((folder / records.JSON).read_text())
    assert found["values"][0]["metrics"]["recall@50"] == {"mean": None, "low": None, "high": None, "requests": 0}
    printed = "\n".join(page.show([Record.read(folder)], tmp_path))
    assert "| `dssm` | 1 | – | – |" in printed


def test_a_kill_leaves_the_old_record_or_the_new_one(tmp_path):
    root = tmp_path / "out"

    def prepare():
        if root.exists():
            for file in sorted(root.rglob("*"), reverse=True):
                file.unlink() if not file.is_dir() else file.rmdir()
        write_record(root, "dssm", result="old", value=0.1)

    action = lambda: write_record(root, "dssm", result="new", value=0.9)  # noqa: E731
    prepare()
    before = records.read_all(root)[0].requests[1]["recall@50"]
    kills.done(action, root)
    after = kills.snapshot(root)
    for _ in kills.killed(action, root, prepare):
        (found,) = records.read_all(root)
        mean = found.requests[1]["recall@50"].mean()
        expected = {"old": before.mean(), "new": before.mean() + 0.8}[found.fields["results"]["preranker"]]
        assert mean == pytest.approx(expected)
        kills.done(action, root)
        assert kills.snapshot(root) == after


def test_tables_put_lines_of_other_pools_and_rankers_apart(tmp_path):
    write_record(tmp_path, "dssm")
    write_record(tmp_path, "hit", value=0.7)
    write_record(tmp_path, "popularity", end=True, value=0.9)
    write_record(tmp_path, "dssm", pool=200)
    found = boards(records.read_all(tmp_path))
    assert [[entry.name for entry in board.entries] for board in found] == [["hit", "dssm", "popularity"], ["dssm"]]


def test_the_page_shows_regret_as_a_share_of_that_of_dssm(tmp_path):
    write_record(tmp_path, "dssm", truth=True, value=0.8)
    write_record(tmp_path, "hit", truth=True, value=0.4)
    printed = "\n".join(page.show(records.read_all(tmp_path), tmp_path))
    assert "regret@50 as a share of `dssm`'s" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("| `hit`") and "0.50" in line.split("|")[-2]]
    assert line
    assert (tmp_path / "cascade" / "cascade.csv").read_text().count("\n") == 5
    assert len(list((tmp_path / "cascade" / "figures").glob("movielens-*.png"))) == 2


def test_figures_of_records_that_are_gone_are_removed(tmp_path):
    folder = write_record(tmp_path, "dssm")
    write_record(tmp_path, "dssm", pool=200)
    page.write(tmp_path)
    assert len(list((tmp_path / "cascade" / "figures").glob("*.png"))) == 4
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    page.write(tmp_path)
    assert len(list((tmp_path / "cascade" / "figures").glob("*.png"))) == 2


def test_a_seed_on_other_requests_is_told(tmp_path):
    folder = write_record(tmp_path, "dssm")
    record = Record.read(folder)

    shifted = Record(folder, record.fields)
    shifted.__dict__["requests"] = (GROUPS + 1, record.requests[1])
    with pytest.raises(InputError, match="not of the same requests"):
        Entry([record, shifted]).values("recall@50", 20)


def test_records_are_copied_whole(tmp_path):
    folder = write_record(tmp_path / "a", "dssm")
    write_record(tmp_path / "a", "hit", end=True)
    assert records.copy_all(tmp_path / "a", tmp_path / "b") == 2
    copied = tmp_path / "b" / folder.relative_to(tmp_path / "a")
    for name in (records.JSON, records.PARQUET):
        assert (copied / name).read_bytes() == (folder / name).read_bytes()
    (folder / records.PARQUET).write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        records.copy_all(tmp_path / "a", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_the_report_writes_the_page_anew(tmp_path):
    write_run(tmp_path / "runs", "dssm", 0, 0.8)
    write_record(tmp_path, "dssm")
    main(["report", f"--out={tmp_path}"])
    assert "`dssm`" in (tmp_path / "cascade" / "README.md").read_text()
