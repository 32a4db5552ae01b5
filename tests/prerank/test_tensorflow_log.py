"""Nothing about CUDA on a machine without a GPU; the rest of what a program writes stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prerank import tensorflow_log

ROOT = Path(__file__).parents[2]
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NOISE = (
    "All log messages before absl::InitializeLog", "oneDNN", "Could not find cuda drivers", "cuda_platform.cc",
    "CPU instructions",
)  # fmt: skip
NO_GPU = pytest.mark.skipif(tensorflow_log.has_gpu(), reason="this machine has a GPU")
LOOK_FOR_DEVICES = (
    "import sys\nprint('mine', file=sys.stderr)\n{}\nimport tensorflow as tf\n"
    "tf.config.list_physical_devices('GPU'), tf.reduce_sum(tf.ones([2]))\nprint('also mine', file=sys.stderr)"
)


def written(code, **environment):
    kept = {name: value for name, value in os.environ.items() if name != LEVEL}
    process = subprocess.run(
        [sys.executable, "-c", LOOK_FOR_DEVICES.format(code)],
        cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stderr


@NO_GPU
def test_without_a_gpu_tensorflow_writes_nothing():
    assert written("import legacy_keras") == "mine\nalso mine\n"


@NO_GPU
def test_shown_after_all_it_writes_what_it_always_does():
    text = written("from prerank import tensorflow_log as t\nt.hide_without_gpu()\nt.show()")
    assert all(noise in text for noise in NOISE), text


@NO_GPU
def test_a_users_own_level_counts():
    text = written("import legacy_keras", **{LEVEL: "2"})
    assert "cuda_platform.cc" in text  # an error, which this level shows
    assert "oneDNN" not in text


def test_a_gpu_is_found_by_its_driver(tmp_path):
    assert not tensorflow_log.has_gpu(tmp_path)
    (tmp_path / "null").touch()
    assert not tensorflow_log.has_gpu(tmp_path)
    for name in ("nvidia0", "nvidiactl", "nvhost-gpu", "dxg", "kfd"):
        (tmp_path / name).touch()
        assert tensorflow_log.has_gpu(tmp_path), name
        (tmp_path / name).unlink()


LINES = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795806744.056941   27896 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795806748.459246   27896 cuda_platform.cc:52] failed call to cuInit\n"
    "F0000 00:00:1795806748.459246   27896 loader.cc:1] the end\n"
    "I like it\n\udcff\n"
)


def import_that_writes(text, monkeypatch, capfd, fails=False):
    """What reaches standard error when the import of a module called tensorflow writes `text` to its descriptor."""
    import importlib.util

    def load(module):
        os.write(2, text.encode(errors="surrogateescape"))
        if fails:
            raise ImportError("broken")

    spec = importlib.util.spec_from_loader("written", loader=None)
    loader = type("Loader", (), {"exec_module": staticmethod(load)})()
    tensorflow_log._hide_while_loading(loader)
    capfd.readouterr()
    if fails:
        with pytest.raises(ImportError, match="broken"):
            loader.exec_module(spec)
    else:
        loader.exec_module(spec)
    return capfd.readouterr().err


def test_only_lines_of_tensorflow_below_the_level_are_taken_off(monkeypatch, capfd):
    monkeypatch.setenv(LEVEL, "3")
    assert import_that_writes(LINES, monkeypatch, capfd).splitlines()[:2] == LINES.splitlines()[3:5]


def test_an_import_that_fails_tells_everything(monkeypatch, capfd):
    monkeypatch.setenv(LEVEL, "3")
    found = import_that_writes(LINES.replace("\udcff", ""), monkeypatch, capfd, fails=True)
    assert found == LINES.replace("\udcff", "")
