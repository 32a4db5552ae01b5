"""Folders and files are whole or not there, whatever call of their writer is its last."""

import multiprocessing
import os
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import kills
import pytest

from prerank import folders
from prerank.errors import InputError
from prerank.locks import BusyError, locked


def write(place: Path, text: str) -> None:
    with folders.holding(place), folders.replacing(place) as working:
        (working / "inner").mkdir()
        for name in ("a", "b", "inner/c"):
            (working / name).write_text(text)


def content(place: Path) -> set[str]:
    return {(place / name).read_text() for name in ("a", "b", "inner/c")}


def delete(place: Path) -> None:
    with folders.holding(place):
        if place.exists():
            folders.discard(place)


@pytest.fixture
def place(tmp_path):
    """A folder's place in an empty one."""
    return tmp_path / "root" / "place"


def fresh(place: Path, text: str | None) -> None:
    shutil.rmtree(place.parent, ignore_errors=True)
    place.parent.mkdir()
    if text:
        write(place, text)


@pytest.mark.parametrize("before", [None, "old"])
def test_a_killed_replacement_leaves_the_old_or_the_new_one(place, before):
    seen = set()
    for _ in kills.killed(lambda: write(place, "new"), place.parent, lambda: fresh(place, before)):
        folders.recover(place)
        found = content(place) if place.exists() else {None}
        assert found in ({before}, {"new"})
        seen |= found
        assert [name for name in os.listdir(place.parent) if name not in ("place", ".place.partial")] == []
        kills.done(lambda: write(place, "new"), place.parent)
        assert content(place) == {"new"}
        assert os.listdir(place.parent) == ["place"]
    assert seen == {before, "new"}


def test_a_replacement_that_is_killed_twice_is_made_the_third_time(place):
    action = lambda: write(place, "new")  # noqa: E731
    fresh(place, "old")
    count = kills.done(action, place.parent)
    for first in kills.spread(count, 7):
        for second in kills.spread(count, 3):
            fresh(place, "old")
            kills.killed_at(first, action, place.parent)
            kills.killed_at(second, action, place.parent, certain=False)
            kills.done(action, place.parent)
            assert content(place) == {"new"}
            assert os.listdir(place.parent) == ["place"]


def test_a_killed_deletion_leaves_all_or_nothing(place):
    for _ in kills.killed(lambda: delete(place), place.parent, lambda: fresh(place, "old")):
        assert not place.exists() or content(place) == {"old"}
        folders.recover(place)
        assert set(os.listdir(place.parent)) <= {"place"}
        assert not place.exists() or content(place) == {"old"}
        kills.done(lambda: delete(place), place.parent)
        assert os.listdir(place.parent) == []


@pytest.mark.parametrize("before", [None, "old"])
def test_a_killed_writer_leaves_a_whole_file(place, before):
    action = partial(folders.write_text, place, "new")

    def prepare():
        fresh(place, None)
        if before:
            place.write_text(before)

    for _ in kills.killed(action, place.parent, prepare):
        assert (place.read_text() if place.exists() else None) in (before, "new")
        kills.done(action, place.parent)
        assert place.read_text() == "new"
        assert os.listdir(place.parent) == ["place"]


def test_sweeping_restores_and_deletes_what_killed_writers_left_in_a_folder(place):
    root = place.parent

    def sweep():
        with locked(root / ".lock"):
            folders.sweep(root)

    for _ in kills.killed(lambda: write(place, "new"), root, lambda: fresh(place, "old")):
        write(root / "other", "other")
        sweep()
        assert sorted(os.listdir(root)) == ["other", "place"]
        assert content(place) in ({"old"}, {"new"})
    for _ in kills.killed(sweep, root, lambda: (fresh(place, "old"), place.rename(root / ".place.replaced"))):
        kills.done(sweep, root)
        assert os.listdir(root) == ["place"]
        assert content(place) == {"old"}


def test_below_a_folder_what_was_renamed_gets_its_name_back(tmp_path):
    for name in ("x", "y"):
        write(tmp_path / name / "run", name)
    (tmp_path / "x" / "run").rename(tmp_path / "x" / ".run.replaced")
    folders.recover_below(tmp_path, "*/*")
    assert content(tmp_path / "x" / "run") == {"x"}
    assert os.listdir(tmp_path / "x") == ["run"]


def test_an_error_leaves_what_was_there(place):
    fresh(place, "old")
    with pytest.raises(TypeError):
        write(place, 0)
    assert content(place) == {"old"}
    assert os.listdir(place.parent) == ["place"]


def test_what_cannot_take_its_place_leaves_the_old_one(place, monkeypatch):
    fresh(place, "old")
    rename = Path.rename

    def fail(path, target):
        if path.name == ".place.partial":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        write(place, "new")
    assert content(place) == {"old"}
    assert os.listdir(place.parent) == ["place"]


def test_a_file_that_cannot_be_written_is_as_it_was(place, monkeypatch):
    fresh(place, None)
    folders.write_text(place, "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folders.write_text(place, "new")
    assert place.read_text() == "old"
    assert os.listdir(place.parent) == ["place"]


def test_a_link_is_replaced_and_what_it_names_stays(place):
    fresh(place, None)
    write(place.parent / "real", "old")
    place.symlink_to("real")
    write(place, "new")
    assert content(place) == {"new"}
    assert not place.is_symlink()
    assert content(place.parent / "real") == {"old"}
    assert sorted(os.listdir(place.parent)) == ["place", "real"]


@pytest.mark.parametrize("text", [".", "..", "inner/.."])
def test_a_place_may_be_named_by_dots(place, text, monkeypatch):
    (place / "inner").mkdir(parents=True)
    monkeypatch.chdir(place)
    named = {".": ".place.lock", "..": ".root.lock", "inner/..": ".place.lock"}[text]
    assert folders.lock_of(Path(text)).name == named


def test_the_root_of_the_file_system_is_one_line():
    with pytest.raises(InputError, match="below the root"):
        folders.lock_of(Path("/"))


def _hold(place, held, release):
    with folders.holding(place):
        held.set()
        release.wait(60)


@pytest.fixture
def holder(place):
    """Another process that holds the place until it is told to end."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(place, held, release))
    process.start()
    assert held.wait(60)
    yield release
    release.set()
    process.join()


def test_a_place_is_held_by_one_process(place, holder):
    with pytest.raises(BusyError, match="another process is writing there"), folders.holding(place):
        pass
    assert folders.is_held(place)
    said = []
    timer = threading.Timer(0.3, holder.set)
    timer.start()
    with folders.holding(place, said.append):
        assert folders.is_held(place)
    assert said == [f"waiting for another process that writes to {place}"]
    assert not folders.is_held(place)
    # Made for the lock. Who made it deletes it, but not while the next one's lock is in it.
    assert not place.parent.exists() or not list(place.parent.iterdir())


def test_a_reader_leaves_a_writer_alone(place, holder):
    (place.parent / ".place.partial").mkdir()
    (place.parent / ".place.removed").mkdir()
    folders.recover(place)
    assert sorted(os.listdir(place.parent)) == [".place.lock", ".place.partial", ".place.removed"]


def test_a_reader_waits_for_a_writer_only_between_its_renames(place):
    fresh(place, "old")
    with folders.holding(place):
        place.rename(place.parent / ".place.replaced")
        reader = threading.Thread(target=folders.recover, args=(place,))
        reader.start()
        time.sleep(0.1)
        assert reader.is_alive()
        (place.parent / ".place.replaced").rename(place)
        reader.join(20)
        assert not reader.is_alive()
    assert content(place) == {"old"}


def test_a_reader_without_rights_is_not_stopped_by_litter(place, monkeypatch):
    fresh(place, "old")
    (place.parent / ".place.removed").mkdir()

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("prerank.locks._acquire", refuse)
    folders.recover(place)
    assert content(place) == {"old"}
    place.rename(place.parent / ".place.replaced")
    with pytest.raises(PermissionError):
        folders.recover(place)


def test_a_lock_whose_holder_deletes_the_folder_is_taken_anew(tmp_path):
    """Each of many threads makes the folder and its lock if they are not there, and deletes them."""
    file, inside, most = tmp_path / "new" / "folder" / ".lock", [], []

    def work():
        for _ in range(40):
            with locked(file, lambda _: None):
                inside.append(1)
                most.append(len(inside))
                assert file.exists()
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 320
    assert set(most) == {1}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_lock_in_what_is_no_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"), locked(tmp_path / "file" / "x" / ".lock"):
        pass
