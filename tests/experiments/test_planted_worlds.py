"""The comparison on planted worlds: judged runs, its files and its command."""

import csv
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from run_folders import write_untrained

from benchmarks import planted_worlds
from benchmarks.worlds import design, results, world
from benchmarks.worlds.design import ENDS, TABLES, WAYS, Comparison, Size
from benchmarks.worlds.world import World
from experiments.cascade import judge, records
from experiments.runner import Deadline
from preprocess.prepared import PreparedData
from prerank.errors import InputError

_SIZE = Size(400, 60, 220, asked=25, pool=80, quotas=(60, 20), epoch=1)
_AIM = TABLES["aim"]


def untrained(_, runs, watcher, *, deadline):
    """In the stead of training."""
    for run in runs:
        if not run.folder.final.exists():
            (path,) = (file.parent for file in run.config.data.prepared_dir.glob("*/*/manifest.json"))
            write_untrained(run.folder.final, run.config, PreparedData.open(path))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A world whose runs are there, without training, and judged for the first table."""
    folder = tmp_path_factory.mktemp("worlds")
    found = World(folder / "strong-4", "strong", 4, _SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "execute", untrained)
        found.generate()
        assert found.train(_AIM, Deadline())
    found.judge(_AIM)
    return folder, found


def lines(path):
    return list(csv.DictReader(path.open()))


def test_numbers_are_those_of_the_judged_requests(work, tmp_path):
    folder, found = work
    results.write(tmp_path, folder, _SIZE)
    by_run = {}
    for record in records.read_all(found._place(_AIM)):
        table = pq.read_table(record.folder / records.PARQUET)
        by_run[record.fields["preranker"]["run"] or record.fields["preranker"]["name"]] = table.to_pandas()
    runs = {(student.model, student.way.name): student.run.folder.final.name for student in found.students(_AIM)}
    assert len(set(runs.values())) == 4
    written = lines(tmp_path / "aim.csv")
    assert len(written) == (4 + len(ENDS)) * 2 * 2
    for line in written:
        assert (line["world"], line["seed"]) == ("strong", "4")
        mine = by_run[runs.get((line["model"], line["way"]), line["model"])]
        mine = mine[mine.quota == int(line["quota"])]
        value, lost = (mine[f"{name}@{line['length']}"].mean() for name in ("true_positives", "regret"))
        assert float(line["true_positives"]) == pytest.approx(value, rel=1e-3)
        assert float(line["best"]) == pytest.approx(value + lost, rel=1e-3)
        assert float(line["regret_low"]) < lost < float(line["regret_high"])
        if not line["way"]:
            assert line["share"] == line["auc"] == ""
            continue
        plain = by_run[runs[line["model"], design.PLAIN]]
        plain = plain[plain.quota == int(line["quota"])][f"regret@{line['length']}"].mean()
        assert float(line["share"]) == pytest.approx(lost / plain, rel=1e-3)
    page = (tmp_path / results.README).read_text()
    assert "final list of 50, at quota 20" in page
    assert page.count("| strong | 4 | `hit` |") == 3
    assert str(folder) not in page


def test_all_of_a_table_are_judged_together_or_not_at_all(work, monkeypatch):
    _, found = work
    place = found._place(_AIM)
    with monkeypatch.context() as patch:
        patch.setattr(judge, "Clock", None)  # judging anything would fail
        found.judge(_AIM)
    before = {record.folder: record.fields["milliseconds"] for record in records.read_all(place)}
    shutil.rmtree(next(iter(before)))
    found.judge(_AIM)
    after = {record.folder: record.fields["milliseconds"] for record in records.read_all(place)}
    assert before.keys() == after.keys()
    scored = [folder for folder in before if before[folder]["user_state"]]
    assert len(scored) == 4
    assert all(before[folder] != after[folder] for folder in scored)


def test_every_way_of_training_is_planned_and_shown(work, tmp_path, monkeypatch):
    folder, found = work
    table = Comparison("models", ("dssm",), WAYS)
    monkeypatch.setitem(TABLES, "models", table)
    monkeypatch.setattr(
        world, "execute", lambda script, runs, *rest, **more: untrained(script, runs[:3], *rest, **more)
    )
    assert not found.train(table, Deadline())
    assert found.is_begun(table)
    found.judge(table)
    results.write(tmp_path, folder, _SIZE)
    assert {line["way"] for line in lines(tmp_path / "models.csv")} == {"", *(way.name for way in WAYS[:3])}
    monkeypatch.setattr(world, "execute", untrained)
    assert found.train(table, Deadline())
    found.judge(table)
    students = {student.way.name: student.run.config.run for student in found.students(table)}
    teacher = str(found.ranker.folder.final)
    assert [name for name, run in students.items() if run.teacher == (teacher,)] == [way.name for way in WAYS[3:]]
    assert [name for name, run in students.items() if run.entire_space] == [WAYS[2].name, WAYS[4].name]
    assert [name for name, run in students.items() if run.loss == "full_stage"] == [WAYS[1].name, WAYS[5].name]
    results.write(tmp_path, folder, _SIZE)
    assert {line["way"] for line in lines(tmp_path / "models.csv")} == {"", *(way.name for way in WAYS)}
    page = (tmp_path / results.README).read_text()
    assert "## Models and ways of training, world strong, seed 4" in page
    assert " | ".join(way.name for way in WAYS) in page


def test_what_is_not_trained_is_not_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(world, "execute", lambda *_, **__: None)
    monkeypatch.setattr(planted_worlds, "QUICK", _SIZE)
    planted_worlds.main(["--quick", "--worlds", "mild", "--seeds", "1", "--work_dir", str(tmp_path)])
    assert (tmp_path / "quick" / "mild-1" / "data" / "truth.npz").exists()
    assert not (tmp_path / results.README).exists()
    assert "the same command resumes" in capsys.readouterr().out
    truth = np.load(tmp_path / "quick" / "mild-1" / "data" / "truth.npz")
    assert (len(truth["user_ids"]), len(truth["item_ids"])) == (60, 220)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--worlds", "mild,weak"], "--worlds: choose of mild, strong, each once. Received: weak"),
        (["--worlds", "mild,mild"], "--worlds: choose of mild, strong, each once. Received: mild,mild"),
        (["--seeds", "0,x"], "--seeds: expected integers"),
        (["--seeds", "1,1"], "--seeds: expected different integers"),
        (["--table", "all"], "--table"),
    ],
)
def test_wrong_flags(flags, message):
    with pytest.raises(InputError, match=message):
        planted_worlds.main(flags)


@pytest.mark.slow
def test_the_command_trains_judges_and_resumes(tmp_path, capfd):
    flags = ["--quick", "--worlds", "mild", "--seeds", "0", "--work_dir", str(tmp_path), "--out", str(tmp_path / "out")]
    planted_worlds.main(flags)
    assert capfd.readouterr().out.count("finished after") == 5  # the ranker is one of the four pre-rankers
    first = (tmp_path / "out" / "aim.csv").read_text()
    planted_worlds.main(flags)
    assert "finished after" not in capfd.readouterr().out
    assert (tmp_path / "out" / "aim.csv").read_text() == first
    ranker = [line for line in lines(tmp_path / "out" / "aim.csv") if line["model"] == "ranker"]
    assert all(0 < float(line["true_positives"]) < float(line["best"]) for line in ranker)
