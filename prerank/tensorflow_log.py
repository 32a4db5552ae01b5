"""Hides what TensorFlow writes about CUDA and its own build, on a machine where that tells nobody anything.

Without a GPU, TensorFlow 2.21 writes four lines and more to standard error when it is imported and when it looks for
devices. `TF_CPP_MIN_LOG_LEVEL` hides only those that it writes once its log is set up; the earlier ones have to be
taken off standard error while TensorFlow is imported. Errors and warnings that it raises in Python stay.

A user's own `TF_CPP_MIN_LOG_LEVEL` is left as it is, and is applied to the early lines too.
"""

import contextlib
import importlib.abc
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ONLY_FATAL, _WITH_ERRORS = "3", "2"
_DEVICES = ("nvidia*", "nvhost-gpu", "dxg", "kfd")
"""Below `/dev`: of NVIDIA's drivers, of its boards, of Windows' subsystem for Linux, of ROCm."""
_SEVERITIES = "IWEF"
_EARLY_LINE = re.compile(rf"(?P<severity>[{_SEVERITIES}])\d{{4}} [\d:.]+ +\d+ \S+:\d+\] ")
_BEFORE_EARLY_LINES = "WARNING: All log messages before absl::InitializeLog()"


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether this machine has a GPU that TensorFlow could use, by the files of its driver."""
    return any(True for pattern in _DEVICES for _ in devices.glob(pattern))


def hide_without_gpu() -> None:
    """Hide TensorFlow's log of this process if the machine has no GPU, as soon as TensorFlow is imported.

    Does nothing if TensorFlow is there already. Does not import it.
    """
    if "tensorflow" in sys.modules or _HIDING in sys.meta_path:
        return
    if not has_gpu():
        sys.meta_path.insert(0, _HIDING)
    else:
        os.environ.setdefault(_LEVEL, _WITH_ERRORS)


def show() -> None:
    """Show TensorFlow's log after all; only works before TensorFlow is imported."""
    if _HIDING in sys.meta_path:
        sys.meta_path.remove(_HIDING)


class _Hiding(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as the other finders do, and has it imported with its early lines taken off."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "tensorflow" or self._asking:
            return None
        self._asking = True
        try:
            found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
            spec = next(filter(None, found), None)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            _hide_while_loading(spec.loader)
        return spec


_HIDING = _Hiding()


def _hide_while_loading(loader: Any) -> None:
    load = loader.exec_module

    def load_hidden(module: ModuleType) -> None:
        os.environ.setdefault(_LEVEL, _ONLY_FATAL)
        with _without_early_lines():
            load(module)

    loader.exec_module = load_hidden


@contextlib.contextmanager
def _without_early_lines() -> Iterator[None]:
    """Keep what the process writes to standard error, and write it afterwards without TensorFlow's early lines.

    If the block raises, everything is written.
    """
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            written = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # no standard error, or no place for a file
            yield
            return
        _flush()
        os.dup2(written.fileno(), 2)
        done = False
        try:
            yield
            done = True
        finally:
            _flush()
            os.dup2(kept, 2)
            written.seek(0)
            text = written.read()
            with contextlib.suppress(OSError), open(2, "wb", closefd=False) as standard_error:
                standard_error.write(_wanted(text) if done else text)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _wanted(written: bytes) -> bytes:
    """What was written without TensorFlow's lines below the level that counts."""
    lines = written.decode(errors="surrogateescape").splitlines(keepends=True)
    kept = "".join(line for line in lines if not _is_hidden(line))
    return kept.encode(errors="surrogateescape")


def _is_hidden(line: str) -> bool:
    if line.startswith(_BEFORE_EARLY_LINES):
        return True
    found = _EARLY_LINE.match(line)
    level = os.environ.get(_LEVEL, "")
    return found is not None and level.isdigit() and _SEVERITIES.index(found["severity"]) < int(level)
