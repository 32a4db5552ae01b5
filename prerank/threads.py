"""How many cores there are, and how many a serving process takes."""

import os
import sys

from threadpoolctl import threadpool_limits

from prerank.errors import InputError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int = 1) -> None:
    """Let TensorFlow and BLAS use `count` threads an operation; before TensorFlow computes anything.

    A request is too small to gain from more: with several requests at once they only get into each other's way.
    TensorFlow is not imported for it, as an ONNX export is served without.

    Raises:
        InputError: TensorFlow has begun already.
    """
    import numpy  # noqa: F401  (only a BLAS that is loaded can be limited)

    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(count)
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        try:
            threading.set_intra_op_parallelism_threads(count)
            threading.set_inter_op_parallelism_threads(count)
        except RuntimeError as error:
            raise InputError("threads have to be limited before TensorFlow computes anything") from error
    threadpool_limits(count)
