import json
import multiprocessing
import os
import shutil

import kills
import pytest

from prerank.errors import InputError
from training.run_folder import RunFolder, to_json


def test_folder_appears_when_finished(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    with folder.open(overwrite=False):
        folder.write_text("metrics.json", "{}")
        assert not folder.final.exists()
        folder.finish()
    assert [path.name for path in folder.final.iterdir()] == ["metrics.json"]
    assert not folder.working.exists()


def test_finished_run_is_not_overwritten_unless_told(tmp_path):
    for text in ("first", "second"):
        folder = RunFolder(tmp_path / "run")
        with folder.open(overwrite=text == "second"):
            folder.write_text("config.yaml", text)
            folder.finish()
    assert (tmp_path / "run" / "config.yaml").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(InputError, match="--overwrite"), RunFolder(tmp_path / "run").open(overwrite=False):
        pass


def _train(final, overwrite=False):
    """What training does with a folder, as the trainer does it; two epochs, gone on with where there is a state."""
    folder = RunFolder(final)
    with folder.open(overwrite):
        if folder.complete:
            folder.finish()
            return
        folder.write_text("config.yaml", "model_name: x")
        state = folder.checkpoints / "progress.json"
        for epoch in range(int(state.read_text()) if state.exists() else 0, 2):
            (folder.checkpoints / f"epoch-{epoch}").mkdir(parents=True, exist_ok=True)
            (folder.checkpoints / f"epoch-{epoch}" / "state").write_text("weights")
            folder.write_text("checkpoints/progress.json", str(epoch + 1))
        assert all((folder.checkpoints / f"epoch-{epoch}" / "state").exists() for epoch in range(2))
        folder.weights.mkdir(exist_ok=True)
        (folder.weights / "best").write_text("weights")
        folder.write_text("history.csv", "epoch")
        folder.write_text("metrics.json", "{}")
        folder.finish()


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_call_a_training_ends_as_undisturbed(tmp_path, overwrite):
    root = tmp_path / "root"
    final = root / "run"

    def prepare():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        if overwrite:
            _train(final)
            (final / "old").touch()

    def again():
        if overwrite or not final.exists():
            _train(final, overwrite)
        else:
            with pytest.raises(InputError, match="this run is finished"):
                RunFolder(final).check_unfinished(overwrite)

    resumable, old = 0, []
    for _ in kills.killed(lambda: _train(final, overwrite), root, prepare):
        resumable += (root / "run.partial" / "checkpoints" / "progress.json").exists()
        if overwrite:
            with pytest.raises(InputError, match="this run is finished"):  # and it is there, whatever was renamed
                RunFolder(final).check_unfinished(overwrite=False)
            old.append((final / "old").exists())
        kills.done(again, root)
        assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == [
            "run/checkpoints/best", "run/config.yaml", "run/history.csv", "run/metrics.json",
        ]  # fmt: skip
        assert sorted(os.listdir(root)) == ["run"]
    assert resumable > 5
    if overwrite:
        assert set(old) == {True, False}
        assert old == sorted(old, reverse=True)  # the old run, and from one call on the new one


def _hold(path, held, release):
    with RunFolder(path).open(overwrite=False):
        held.set()
        release.wait(30)


def test_two_processes_cannot_train_one_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", held, release))
    other.start()
    assert held.wait(60)
    with pytest.raises(InputError, match="another process"), RunFolder(tmp_path / "run").open(overwrite=False):
        pass
    release.set()
    other.join()
    with RunFolder(tmp_path / "run").open(overwrite=False):
        pass


def test_output_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--output_dir"), RunFolder(tmp_path / "file" / "run").open(overwrite=False):
        pass


def test_json_has_null_for_what_is_not_finite():
    assert json.loads(to_json({"a": float("nan"), "b": {"c": float("inf"), "d": 1.5}})) == {
        "a": None,
        "b": {"c": None, "d": 1.5},
    }
