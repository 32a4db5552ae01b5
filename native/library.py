"""Builds the C++ operations against the installed TensorFlow, once for a machine."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import tensorflow as tf

from native import SWITCH
from prerank import folders
from prerank.errors import InputError
from prerank.locks import Report, lock_of, locked

_SOURCE = Path(__file__).with_name("rows.cc")
# No product and sum are contracted, so that the numbers are those of TensorFlow's own operations.
_FLAGS = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", "-DNDEBUG", "-w")
_MOST_SECONDS = 600
_SHOWN = 200
_loading = threading.Lock()
_loaded: dict[Path, Any] = {}
"""By the library's file its module, or why there is none: a compiler that fails is asked once a process."""


class UnavailableError(RuntimeError):
    """The operations cannot be had; the message says why."""


def load(report: Report) -> Any:
    """The module of the operations, built first if need be.

    Args:
        report: takes a line when building, which takes some ten seconds, or when waiting for another process that does.

    Raises:
        UnavailableError: they are turned off, there is no compiler, it failed, or the cache cannot be written.
        InputError: the variable that turns them off has another value.
    """
    if (asked := os.environ.get(SWITCH) or "on") not in ("on", "off"):
        raise InputError(f"{SWITCH}: expected on or off. Received: {asked!r}")
    if asked == "off":
        raise UnavailableError(f"{SWITCH}=off")
    flags = [*_FLAGS, *_machine_flags(), *tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
    file = _cache() / f"rows-{_key(flags)}.so"
    with _loading:
        if file not in _loaded:
            _loaded[file] = _found_or_built(file, flags, report)
        found = _loaded[file]
    if isinstance(found, UnavailableError):
        raise UnavailableError(str(found))
    return found


def _found_or_built(file: Path, flags: list[str], report: Report) -> Any:
    try:
        if file.exists():
            try:
                return tf.load_op_library(str(file))
            except tf.errors.OpError:  # damaged, by a full disk for example
                file.unlink(missing_ok=True)
        compiler = _compiler()
        with locked(lock_of(file), wait=report):
            if not file.exists():
                report("building the compiled operations for embedding rows, once for this machine")
                folders.write_bytes(file, _compile(compiler, flags))
        return tf.load_op_library(str(file))
    except UnavailableError as error:
        return error
    except (tf.errors.OpError, OSError) as error:
        return UnavailableError(" ".join(str(error).split())[:_SHOWN])


def _cache() -> Path:
    """The user's cache folder; by the XDG specification, a relative path in the variable does not count."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".cache") / "prerank"
    except RuntimeError as error:
        raise UnavailableError(str(error)) from error


def _machine_flags() -> list[str]:
    return ["-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"]


def _key(flags: list[str]) -> str:
    """Of all that the library depends on; a cache may be shared by machines of different processors."""
    tensorflow = (tf.version.VERSION, tf.version.GIT_VERSION)
    parts = [_SOURCE.read_text("utf-8"), *flags, *map(str, tensorflow), platform.machine(), _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _compiler() -> list[str]:
    """The compiler's command. `CXX` names it, with flags of its own if need be."""
    named = os.environ.get("CXX", "").strip()
    try:
        commands = [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]
    except ValueError as error:
        raise UnavailableError(f"CXX cannot be read: {error}") from error
    found = next((command for command in commands if shutil.which(command[0])), None)
    if found is None:
        raise UnavailableError(f"there is no C++ compiler{f' {named}' if named else ''}"[:_SHOWN])
    return found


def _compile(compiler: list[str], flags: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.so"
        # The libraries come after what needs them.
        command = [*compiler, str(_SOURCE), "-o", str(file), *flags]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_MOST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler[0]} took more than {_MOST_SECONDS} seconds") from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or [f"exit code {done.returncode}"]
            raise UnavailableError(f"{compiler[0]} failed: {said[0][:_SHOWN]}")
        return file.read_bytes()
