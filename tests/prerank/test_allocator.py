"""The allocator keeps freed memory in the scripts, and only there."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from prerank.allocator import as_environment

ROOT = Path(__file__).parents[2]
# Page faults of touching and freeing 16 MB forty times; in blocks from the system each time touches new pages.
_FAULTS = """
import ctypes, resource, sys
{before}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = 0
for _ in range(40):
    held = [libc.malloc(16 << 20) for _ in range(4)]
    for block in held:
        libc.memset(block, 1, 16 << 20)
    for block in held:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun)
"""
_KEEP = "from prerank.allocator import keep_freed_memory; print(keep_freed_memory())"

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system has no glibc")


def run(before, **environment):
    program = _FAULTS.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, faults = done.stdout.split()
    return said, int(faults)


def test_kept_memory_is_touched_once():
    said, kept = run(_KEEP)
    assert said == ["True"]
    # 64 MB are 16,384 pages of 4 kB; without the settings up to forty times as many
    assert kept < 2 * 16_384


@pytest.mark.parametrize(
    "environment",
    [
        {"PRERANK_MALLOC": "default"},
        {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "100000"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=100000"},
    ],
)
def test_it_can_be_turned_off(environment):
    assert run(_KEEP, **environment)[0] == ["False"]


def test_importing_a_package_changes_nothing():
    """Neither the layers, with TensorFlow, nor the runtime: another program's allocator is its own."""
    _, without = run("")
    _, imported = run("import layers, layers.embedding, prerank, prerank.allocator, prerank.preranker")
    assert imported > 0.8 * without


def test_the_same_settings_as_variables():
    environment = as_environment()
    assert environment == {
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "MALLOC_TOP_PAD_": "268435456",
    }
    _, kept = run("", **environment)
    assert kept < 2 * 16_384
