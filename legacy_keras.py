"""Makes `tf.keras` the legacy Keras 2 that deepctr and deepmatch run on. Imported before TensorFlow.

TensorFlow chooses its Keras once, when it is first imported, by `TF_USE_LEGACY_KERAS`. This module
sets the variable, imports TensorFlow, checks that both ways of writing a Keras layer give the same
class, and mends the defects of deepctr and deepmatch that this project meets.

`TF_USE_LEGACY_KERAS=0`, set on purpose before the first import, leaves Keras 3 in place: the
package `layers` runs there too. Everything above it calls :func:`require`, which then raises.
"""

import functools
import importlib.metadata
import os
import sys
import threading
from types import ModuleType
from typing import Any

_VARIABLE = "TF_USE_LEGACY_KERAS"

if "tensorflow" not in sys.modules:
    os.environ.setdefault(_VARIABLE, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402  (the variable has to be set first)

IS_LEGACY = tf.keras.layers.Layer.__module__.startswith("tf_keras.")


def require() -> None:
    """Check that legacy Keras is the only Keras in this process.

    Raises:
        ImportError: TensorFlow was imported before this module without the variable, or the
            variable asks for Keras 3.
    """
    from tensorflow.keras.layers import Layer

    modules = {tf.keras.layers.Layer.__module__.split(".")[0], Layer.__module__.split(".")[0]}
    if modules != {"tf_keras"}:
        raise ImportError(
            f"this project needs legacy Keras, but TensorFlow was imported with {sorted(modules)}: import "
            f"one of its packages before tensorflow, or set {_VARIABLE}=1 before Python starts"
        )


if os.environ.get(_VARIABLE) != "0":
    require()


def _import_measured(package: str, version: str) -> ModuleType:
    """Import a known version of a package, without the thread in which it asks the network for a newer one."""
    found = importlib.metadata.version(package)
    if found != version:
        raise ImportError(f"{package} {version} is what was measured and mended, found {found}")
    start = threading.Thread.start

    def start_unless_version_check(thread: threading.Thread) -> None:
        asker = getattr(getattr(thread, "_target", None), "__module__", None) or ""
        if asker.split(".")[0] != package:
            start(thread)

    threading.Thread.start = start_unless_version_check  # type: ignore[assignment,method-assign]
    try:
        return importlib.import_module(package)
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


@functools.cache
def mend_deepctr() -> None:
    """Import deepctr and mend what 0.9.4 gets wrong.

    - Its `__init__` starts a thread that asks the network for the newest version, with no time limit.
    - `l2(0)` attaches a regulariser where none was asked for, which makes the gradient of every embedding
      table dense. Here a rate of 0 attaches none.
    - A `DNN` with `output_activation` replaces an element of a tracked list, and cannot be exported.

    Raises:
        ImportError: legacy Keras is not in use, or deepctr has another version.
    """
    require()
    _import_measured("deepctr", "0.9.4")
    import deepctr.inputs
    from deepctr.layers.core import DNN

    l2, build = tf.keras.regularizers.l2, DNN.build
    deepctr.inputs.l2 = lambda rate=0.01: l2(rate) if rate else None

    @functools.wraps(build)
    def build_exportable(layer: DNN, input_shape: Any) -> None:
        build(layer, input_shape)
        layer.activation_layers = list(layer.activation_layers)

    DNN.build = build_exportable


@functools.cache
def mend_deepmatch() -> None:
    """Import deepmatch, and deepctr mended, and mend what 0.3.2 gets wrong.

    - Its `__init__` starts a thread as deepctr's does.
    - Its `custom_objects` holds a layer of its own under the name of another layer of deepctr,
      `AttentionSequencePoolingLayer`, so that models with deepctr's do not load. Here the name stands for deepctr's,
      and deepmatch's is saved as `deepmatch>AttentionSequencePoolingLayer` and found without `custom_objects`.

    Raises:
        ImportError: legacy Keras is not in use, or deepmatch has another version.
    """
    mend_deepctr()
    _import_measured("deepmatch", "0.3.2")
    import deepctr.layers
    import deepmatch.layers

    name = "AttentionSequencePoolingLayer"
    tf.keras.utils.register_keras_serializable(package="deepmatch")(deepmatch.layers.custom_objects[name])
    deepmatch.layers.custom_objects[name] = deepctr.layers.custom_objects[name]
