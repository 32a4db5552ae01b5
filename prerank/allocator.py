"""Tells glibc's allocator to keep the memory that a program frees, where that makes it faster.

TensorFlow allocates and frees the same megabytes at every step. glibc gives blocks of that size back to the system
each time, and the system clears their pages anew: about 20,000 page faults a training step. Commands call
:func:`keep_freed_memory` once at their start. Importing a package of this project changes nothing.
"""

import ctypes
import os

SWITCH = "PRERANK_MALLOC"
"""The environment variable; `default` leaves the allocator as it is."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {
    _M_MMAP_THRESHOLD: 32 << 20,  # the largest that glibc takes on 64 bits: smaller blocks come from the heap
    _M_TRIM_THRESHOLD: 2**31 - 1,  # the heap's free end is not given back
    _M_TOP_PAD: 256 << 20,  # the heap grows by so much at a time
}


def keep_freed_memory() -> bool:
    """Set the thresholds of glibc's allocator, for the whole process.

    Nothing happens without glibc, with `PRERANK_MALLOC=default`, or where the user has set glibc's own variables.

    Returns:
        Whether the thresholds are set now.
    """
    if os.environ.get(SWITCH) == "default" or _set_by_user():
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    returned = [library.mallopt(name, value) for name, value in _SETTINGS.items()]  # 1 for success
    return all(value == 1 for value in returned)


def as_environment() -> dict[str, str]:
    """The same settings as glibc's own variables, by name: for a process that does not call this module."""
    names = {_M_MMAP_THRESHOLD: "MMAP_THRESHOLD", _M_TRIM_THRESHOLD: "TRIM_THRESHOLD", _M_TOP_PAD: "TOP_PAD"}
    return {f"MALLOC_{names[setting]}_": str(value) for setting, value in _SETTINGS.items()}


def _set_by_user() -> bool:
    own = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ)
    return own or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
