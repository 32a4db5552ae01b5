"""How the compiled operations are built, and what happens where they cannot be."""

import re
import shutil
import stat
import threading

import pytest
import tensorflow as tf
from support import SPEC

import models
from native import SWITCH, library
from native.library import load
from prerank.errors import InputError
from training import row_kernels

NONSENSE = 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"'
NO_LIBRARY = "invalid ELF|file too short|not a mach-o"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SWITCH, raising=False)
    return tmp_path / "cache"


def compiler(folder, script):
    file = folder / "compiler"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'rows.cc:1: error: no such header' >&2; exit 1", r"failed: rows\.cc:1: error: no such header"),
        ("exit 3", "failed: exit code 3"),
        (None, r"there is no C\+\+ compiler .*nothing"),
    ],
)
def test_a_compiler_that_fails(cache, tmp_path, monkeypatch, script, said):
    monkeypatch.setenv("CXX", compiler(tmp_path, script) if script else str(tmp_path / "nothing"))
    with pytest.raises(library.UnavailableError, match=said):
        load(lambda line: None)
    assert not list(cache.rglob("*.so"))


def test_a_compiler_that_fails_is_asked_once(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, f"echo called >> {tmp_path}/calls; exit 1"))
    for _ in range(2):
        with pytest.raises(library.UnavailableError, match="failed: exit code 1"):
            load(lambda line: None)
    assert (tmp_path / "calls").read_text() == "called\n"


def test_a_compiler_with_flags(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, 'echo "error: $1 $2" >&2; exit 1') + " -x 'of two words'")
    with pytest.raises(library.UnavailableError, match="failed: error: -x of two words"):
        load(lambda line: None)
    monkeypatch.setenv("CXX", "'c++")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with pytest.raises(library.UnavailableError, match="CXX cannot be read: No closing quotation"):
        load(lambda line: None)


def test_a_damaged_library_is_built_anew(cache, tmp_path, monkeypatch):
    """Here what is built is no library either."""
    file, said = cache / "prerank" / "rows-0.so", []
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setenv("CXX", compiler(tmp_path, NONSENSE))
    found = library._found_or_built(file, [], said.append)
    assert isinstance(found, library.UnavailableError)
    assert re.search(NO_LIBRARY, str(found))
    assert file.read_text() == "nonsense\n"
    assert said == ["building the compiled operations for embedding rows, once for this machine"]


def test_one_of_two_processes_builds(cache, tmp_path, monkeypatch):
    """A lock is held by an open file, so that threads stand for processes."""
    monkeypatch.setenv("CXX", compiler(tmp_path, f"echo called >> {tmp_path}/calls; sleep 0.3; {NONSENSE}"))
    file, said = cache / "prerank" / "rows-0.so", []
    builders = [threading.Thread(target=library._found_or_built, args=(file, [], said.append)) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert (tmp_path / "calls").read_text() == "called\n"
    assert sum(line.startswith("building") for line in said) == 1
    assert sum(line.startswith("waiting for another process") for line in said) == 1
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("CXX", compiler(tmp_path, NONSENSE))
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(library.UnavailableError, match="Not a directory|File exists"):
        load(lambda line: None)


def test_the_cache_is_the_user_s(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ("", "cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert library._cache() == tmp_path / ".cache" / "prerank"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert library._cache() == tmp_path / ".cache" / "prerank"


def test_another_tensorflow_or_processor_has_a_library_of_its_own(monkeypatch):
    keys = {library._key([]), library._key(["-I/another/environment"])}
    for place, name, value in (
        (tf.version, "VERSION", "2.22.0"),
        (tf.version, "GIT_VERSION", "nightly"),
        (library, "_processor", lambda: "flags: none"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, value)
            keys.add(library._key([]))
    assert len(keys) == 5


@pytest.mark.parametrize("value", ["0", "false", "OFF"])
def test_a_wrong_value_of_the_switch(monkeypatch, value):
    monkeypatch.setenv(SWITCH, value)
    with pytest.raises(InputError, match=f"PRERANK_NATIVE: expected on or off. Received: '{value}'"):
        load(lambda line: None)


def test_it_can_be_turned_off(cache, monkeypatch):
    monkeypatch.setenv(SWITCH, "off")
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 1, said.append)
    assert said == ["embedding rows: TensorFlow's operations (PRERANK_NATIVE=off)"]
    assert model.encoder.embedding.kernels is None
    assert row_kernels.used(model) == "tensorflow"
    assert not cache.exists()


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler")
def test_a_run_says_that_it_has_them(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 1, said.append)
    assert said[-1] == "embedding rows: compiled operations"
    assert model.encoder.embedding.kernels is not None
    assert row_kernels.used(model) == "compiled"


def test_several_replicas_train_by_tensorflow_s_operations():
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 2, said.append)
    assert said == ["embedding rows: TensorFlow's operations (the compiled ones are for one replica)"]


@pytest.mark.parametrize(("name", "xla"), [("target_means", False), ("dssm", True)])
def test_nothing_is_said_of_models_without_planned_look_ups(name, xla):
    said = []
    model = models.build(name, SPEC, {}, xla=xla)
    row_kernels.choose(model, 1, said.append)
    assert said == []
    assert row_kernels.used(model) is None
