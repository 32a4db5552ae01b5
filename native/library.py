"""Builds the C++ operations against the installed TensorFlow, once for a machine."""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from native import SWITCH
from prerank import folders
from prerank.locks import Report, lock_of, locked

_SOURCE = Path(__file__).with_name("rows.cc")
# No product and sum are contracted, so that the numbers are those of TensorFlow's own operations.
_FLAGS = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", "-DNDEBUG", "-w")
_MOST_SECONDS = 600
_SHOWN = 200


class UnavailableError(RuntimeError):
    """The operations cannot be had; the message says why."""


@functools.cache
def load(report: Report) -> Any:
    """The module of the operations, built first if need be.

    Args:
        report: takes a line when building, which takes some ten seconds, or when waiting for another process that does.

    Raises:
        UnavailableError: they are turned off, there is no compiler, or it failed.
    """
    if os.environ.get(SWITCH) == "off":
        raise UnavailableError(f"{SWITCH}=off")
    try:
        return tf.load_op_library(str(_built(report)))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        raise UnavailableError(str(error)[:_SHOWN]) from error


def _built(report: Report) -> Path:
    """The library's file in the user's cache; Path.home raises RuntimeError for a user without a home."""
    flags = [*_FLAGS, *_machine_flags(), *tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
    cache = os.environ.get("XDG_CACHE_HOME")
    place = Path(cache) if cache else Path.home() / ".cache"
    file = place / "prerank" / f"rows-{_key(flags)}.so"
    if file.exists():
        return file
    compiler = _compiler()
    with locked(lock_of(file), wait=report):
        if not file.exists():
            report("building the compiled operations for embedding rows, once for this machine")
            folders.write_bytes(file, _compile(compiler, flags))
    return file


def _machine_flags() -> list[str]:
    return ["-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"]


def _key(flags: list[str]) -> str:
    """Of all that the library depends on; a cache may be shared by machines of different processors."""
    parts = [_SOURCE.read_text("utf-8"), *flags, tf.version.VERSION, platform.machine(), _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _compiler() -> str:
    named = os.environ.get("CXX")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if found is None:
        raise UnavailableError(f"there is no C++ compiler{f' {named}' if named else ''}")
    return found


def _compile(compiler: str, flags: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.so"
        # The libraries come after what needs them.
        command = [compiler, str(_SOURCE), "-o", str(file), *flags]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_MOST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler} took more than {_MOST_SECONDS} seconds") from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or [f"exit code {done.returncode}"]
            raise UnavailableError(f"{compiler} failed: {said[0][:_SHOWN]}")
        return file.read_bytes()
