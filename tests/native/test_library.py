"""How the compiled operations are built, and what happens where they cannot be."""

import shutil
import stat

import pytest
from support import SPEC

import models
from native import SWITCH, library
from training import row_kernels

load = library.load.__wrapped__  # not cached


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
        (None, "there is no C\\+\\+ compiler .*nothing"),
    ],
)
def test_a_compiler_that_fails(cache, tmp_path, monkeypatch, script, said):
    monkeypatch.setenv("CXX", compiler(tmp_path, script) if script else str(tmp_path / "nothing"))
    with pytest.raises(library.UnavailableError, match=said):
        load(lambda line: None)
    assert not list(cache.rglob("*.so"))


def test_what_is_no_library(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"'))
    with pytest.raises(library.UnavailableError, match="invalid ELF|file too short|not a mach-o"):
        load(lambda line: None)


def test_it_can_be_turned_off(cache, monkeypatch):
    monkeypatch.setenv(SWITCH, "off")
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 1, said.append)
    assert said == ["embedding rows: TensorFlow's operations (PRERANK_NATIVE=off)"]
    assert model.encoder.embedding.kernels is None
    assert not cache.exists()


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler")
def test_a_run_says_that_it_has_them():
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 1, said.append)
    assert said[-1] == "embedding rows: compiled operations"
    assert model.encoder.embedding.kernels is not None


def test_several_replicas_train_by_tensorflow_s_operations():
    model, said = models.build("dssm", SPEC, {}), []
    row_kernels.choose(model, 2, said.append)
    assert said == ["embedding rows: TensorFlow's operations (the compiled ones are for one replica)"]


@pytest.mark.parametrize(("name", "xla"), [("target_means", False), ("dssm", True)])
def test_nothing_is_said_of_models_without_planned_look_ups(name, xla):
    said = []
    row_kernels.choose(models.build(name, SPEC, {}, xla=xla), 1, said.append)
    assert said == []
