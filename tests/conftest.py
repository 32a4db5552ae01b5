"""Imports the legacy-Keras module before anything else can import TensorFlow, and finds the real data."""

import gc
import os
from pathlib import Path

import pytest

# Each of two workers computes little at a time. Threads that wait for work take the cores from the other one.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# To compile well takes longer than what a test computes. Before TensorFlow, which reads it once.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import legacy_keras  # noqa: F401  (before TensorFlow)  # isort: skip
import tensorflow as tf  # isort: skip

# A second device for tests of tf.distribute, which has to be there before TensorFlow computes anything.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_collection_finish():
    """Python looks for garbage less often, and never among the imported modules: traced graphs are many objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """In the quick tests TensorFlow does not optimise the graphs of this process, which takes longer than it saves.

    Graphs of processes that a test starts are optimised, and those of the slow tests.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": item.get_closest_marker("slow") is None})


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets."""
    folder = Path(os.environ.get("PRERANK_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()
    if not (folder / "movielens-1m").is_dir():
        pytest.skip(f"no real MovieLens-1M in {folder}: set PRERANK_DATA")
    return folder
