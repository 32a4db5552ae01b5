"""A pipe in place of a file is refused, not waited for."""

import os
import shutil
import signal
from contextlib import contextmanager

import pytest
from artefacts import export_small, users, write_items

from prerank import index, index_command
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.errors import ArtefactError, InputError
from prerank.preranker import PreRanker
from prerank.regular import require_regular


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regular")
    items = write_items(folder / "items.parquet", range(1, 60))
    for form in ("saved_model", "onnx"):
        export_small("hit", folder / form, catalogue=items, export_format=form)
        build(Artefact(folder / form), items, folder / form / "index", "int8")
    return folder


@contextmanager
def at_once():
    """Ends what waits for longer than 20 s."""

    def give_up(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def put_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("form", ["saved_model", "onnx"])
def test_a_pipe_for_any_file_that_serving_reads(form, places, tmp_path):
    not_read = {"catalogue.parquet", "index/.lock", "item_tower.onnx.data"}
    files = [path.relative_to(places / form) for path in sorted((places / form).rglob("*")) if path.is_file()]
    files = [path for path in files if str(path) not in not_read]
    assert len(files) >= 9
    for number, file in enumerate(files):
        place = tmp_path / str(number)
        shutil.copytree(places / form, place)
        put_pipe(place / file)
        with at_once(), pytest.raises(ArtefactError, match="expected a regular file, found a pipe") as error:
            PreRanker(place).load()
        assert str(file) in str(error.value)


def test_a_pipe_that_replaces_a_file_in_service(places, tmp_path, caplog):
    shutil.copytree(places / "onnx", tmp_path / "out")
    ranker = PreRanker(tmp_path / "out")
    put_pipe(tmp_path / "out" / "index" / "CURRENT")
    with at_once():
        assert len(ranker.top(users(1)[0], 3).ids) == 3
    assert "CURRENT: expected a regular file" in caplog.text


def test_a_pipe_for_what_an_index_is_built_from(places, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(index_command, "limit_threads", lambda: None)
    shutil.copytree(places / "onnx", tmp_path / "out")
    os.mkfifo(tmp_path / "pipe")
    base = ["index", "--model", str(tmp_path / "out"), "--dtype", "int8"]
    for flags in (["--items", str(tmp_path / "pipe")], ["--evaluate", str(tmp_path / "pipe")]):
        with at_once():
            assert main([*base, *flags]) == 2
        assert "pipe: expected a regular file" in capsys.readouterr().err
    os.mkfifo(tmp_path / "out" / "index" / ".lock")
    with at_once(), index.writing(tmp_path / "out/index"):
        pass  # a lock is only held, never read


def test_what_is_none_is_named_and_the_rest_is_left_to_be_opened(tmp_path):
    for fine in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        require_regular(fine)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="link: expected a regular file"):
        require_regular(tmp_path / "link", InputError)
