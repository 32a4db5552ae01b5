"""Runs a command that ends with the process that started it, however that ends: `python launcher.py PARENT COMMAND...`.

On Linux the kernel kills the command when its parent, of process id PARENT, is gone. Elsewhere the command goes on, and
the next start waits for it, since a training holds the lock of its run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command; end at once if the parent has ended already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # It outlives `exec`. A training that is killed loses nothing but the epoch that it is at.
        if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if os.getppid() != parent:
            sys.exit(f"process {parent} has ended")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
