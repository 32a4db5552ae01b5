"""Which operations of a training step take how long, by TensorFlow's profiler."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.throughput.timing import Step

_WARM = 4
_NOT_OPERATIONS = {"Run", "Process"}


def operations(step: Step, batches: Sequence) -> Counter[str]:
    """Milliseconds a batch of each kind of operation in `step`, over all threads.

    Args:
        step: a traced training step.
        batches: its arguments, a few more than are run to warm up.
    """
    for batch in batches[:_WARM]:
        step(*batch)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for batch in batches[_WARM:]:
            step(*batch)
        tf.test.experimental.sync_devices()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    return _totals(space, len(batches) - _WARM)


def _totals(space: xplane_pb2.XSpace, batches: int) -> Counter[str]:
    """An event of an operation is called `name:Kind`; those of Python and of the executor have other names."""
    found: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if name and kind.isidentifier() and kind not in _NOT_OPERATIONS and not name.startswith("$"):
                    found[kind.lstrip("_")] += event.duration_ps / 1e9 / batches
    return found
