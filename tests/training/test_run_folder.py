import json
import multiprocessing

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
