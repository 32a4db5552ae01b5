"""An index that is replaced: by one that cannot be read at once, and by none."""

import logging
import shutil
import threading

import pytest
from artefacts import export_small, users, write_items

from prerank import index, watching
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import ArtefactError
from prerank.preranker import PreRanker
from prerank.watching import WatchedIndex


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    items = write_items(folder / "items.parquet", range(1, 60))
    export_small("lr", folder / "out", catalogue=items, export_format="onnx")
    build(Artefact(folder / "out"), items, folder / "out" / "index")
    return folder / "out"


@pytest.fixture
def folder(place, tmp_path):
    shutil.copytree(place / "index", tmp_path / "index")
    return tmp_path / "index"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def point(folder, version):
    (folder / "new").write_text(version + "\n")
    (folder / "new").rename(folder / "CURRENT")


def test_a_replacement_that_fails_once_is_tried_again(place, folder):
    ranker, user = PreRanker(place, folder), users(1)[0]
    point(folder, "v000002")
    assert ranker.top(user, 3).version == "v000001"  # the version is not there yet
    shutil.copytree(folder / "v000001", folder / "v000002")
    assert ranker.top(user, 3).version == "v000002"


def test_memory_that_runs_out_stops_no_service(place, folder, monkeypatch, caplog):
    watched = WatchedIndex(folder, Artefact(place).fingerprint)
    shutil.copytree(folder / "v000001", folder / "v000002")
    point(folder, "v000002")
    with monkeypatch.context() as patch:
        patch.setattr(watching.Snapshot, "open", lambda *_: (_ for _ in ()).throw(MemoryError))
        assert watched.current().version == "v000001"
    assert "stays at v000001: MemoryError" in caplog.text
    assert watched.current().version == "v000002"


def test_a_replacement_that_keeps_failing_is_tried_ever_less_often(place, folder, monkeypatch, caplog):
    clock, tries = Clock(), []
    watched = WatchedIndex(folder, Artefact(place).fingerprint, clock=clock)
    opened = watching.Snapshot.open

    def failing(*args):
        tries.append(clock.now - 1000)
        return opened(*args)

    monkeypatch.setattr(watching.Snapshot, "open", failing)
    point(folder, "v000009")
    for tenth in range(2000):
        clock.now = 1000 + tenth / 10
        watched.current()
        watched.current()
    assert tries == [0, 0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert len(caplog.records) == 4  # at 0, 63, 123 and 183 s

    point(folder, "v000001")  # another replacement is another matter
    watched.current()
    assert len(tries) == 11
    assert watched.current().version == "v000001"
    assert len(tries) == 11


def test_an_index_without_its_pointer_is_logged_once_a_minute(place, folder, caplog):
    clock = Clock()
    watched = WatchedIndex(folder, Artefact(place).fingerprint, clock=clock)
    kept = (folder / "CURRENT").rename(folder / "kept")
    with caplog.at_level(logging.ERROR):
        for second in range(150):
            clock.now = 1000 + second
            assert watched.current().version == "v000001"
    assert len(caplog.records) == 3
    assert all("CURRENT: no item index" in record.getMessage() for record in caplog.records)
    with pytest.raises(ArtefactError, match="no item index"):
        watched.reload()
    shutil.copytree(folder / "v000001", folder / "v000002")
    kept.write_text("v000002\n")
    kept.rename(folder / "CURRENT")
    assert watched.current().version == "v000002"


def test_without_watching_only_reload_reads_again(place, folder):
    watched = WatchedIndex(folder, Artefact(place).fingerprint, watch=False)
    shutil.copytree(folder / "v000001", folder / "v000002")
    point(folder, "v000002")
    assert watched.current().version == "v000001"
    assert watched.reload().version == "v000002"
    assert watched.current().version == "v000002"


def test_a_version_that_comes_while_another_is_read_is_picked_up_by_the_next_request(place, folder, monkeypatch):
    read = index.read

    def replaced_after(*args):
        found = read(*args)
        monkeypatch.setattr(index, "read", read)
        shutil.copytree(folder / "v000001", folder / "v000002")
        point(folder, "v000002")
        return found

    monkeypatch.setattr(index, "read", replaced_after)
    watched = WatchedIndex(folder, Artefact(place).fingerprint)
    assert watched.snapshot.version == "v000001"
    assert watched.current().version == "v000002"


def test_one_thread_reads_a_replacement_while_the_others_go_on(place, folder, monkeypatch):
    watched = WatchedIndex(folder, Artefact(place).fingerprint)
    shutil.copytree(folder / "v000001", folder / "v000002")
    point(folder, "v000002")
    opened, reading, go_on, opens = watching.Snapshot.open, threading.Event(), threading.Event(), []

    def slow(*args):
        opens.append(threading.current_thread())
        reading.set()
        assert go_on.wait(60)
        return opened(*args)

    monkeypatch.setattr(watching.Snapshot, "open", slow)
    found = []
    reader = threading.Thread(target=lambda: found.append(watched.current().version))
    reader.start()
    assert reading.wait(60)
    others = [threading.Thread(target=lambda: found.append(watched.current().version)) for _ in range(3)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(5)
    waiting = [thread for thread in others if thread.is_alive()]
    go_on.set()
    for thread in (reader, *others):
        thread.join(60)
    assert not waiting
    assert opens == [reader]
    assert found == ["v000001"] * 3 + ["v000002"]
    assert watched.current().version == "v000002"
    assert opens == [reader]
