"""Makes `tf.keras` the legacy Keras 2 that deepctr and deepmatch run on.

TensorFlow chooses its Keras once, when it is first imported, by `TF_USE_LEGACY_KERAS`. This module sets the variable,
unless TensorFlow is there already, and does not import TensorFlow. The packages that use TensorFlow import this module
in their `__init__`, so their modules can import TensorFlow as any program does.

Where TensorFlow is there already with Keras 3, or `TF_USE_LEGACY_KERAS=0` asks for it, Keras 3 stays: the package
`layers` runs there too. Every package above it calls :func:`require`, which then raises.
"""

import functools
import importlib.metadata
import os
import sys
import threading
from types import ModuleType
from typing import Any

from prerank import tensorflow_log

_VARIABLE = "TF_USE_LEGACY_KERAS"
_LEGACY = "tf_keras"
_MEANS_LEGACY = ("1", "true", "True")

if "tensorflow" not in sys.modules:
    os.environ.setdefault(_VARIABLE, "1")
tensorflow_log.hide_without_gpu()


def _found() -> set[str]:
    """The packages that `tf.keras` and `tensorflow.keras` stand for; imports TensorFlow."""
    import tensorflow as tf
    from tensorflow.keras.layers import Layer

    return {layer.__module__.split(".")[0] for layer in (tf.keras.layers.Layer, Layer)}


def is_legacy() -> bool:
    """Whether legacy Keras is the only Keras in this process. Imports TensorFlow."""
    return _found() == {_LEGACY}


def require() -> None:
    """Check that legacy Keras is, or will be, the only Keras in this process. Does not import TensorFlow.

    Raises:
        ImportError: TensorFlow was imported before this module without the variable, or the variable asks for Keras 3.
    """
    value = os.environ.get(_VARIABLE)
    if "tensorflow" in sys.modules:
        right, what = is_legacy(), "TensorFlow was imported with Keras 3"
    else:
        right, what = value in _MEANS_LEGACY, f"{_VARIABLE}={value} asks for Keras 3"
    if not right:
        raise ImportError(
            f"this project needs legacy Keras, but {what}: import one of its packages before tensorflow, "
            f"or set {_VARIABLE}=1 before Python starts"
        )


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
    import tensorflow as tf
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
    import tensorflow as tf

    name = "AttentionSequencePoolingLayer"
    tf.keras.utils.register_keras_serializable(package="deepmatch")(deepmatch.layers.custom_objects[name])
    deepmatch.layers.custom_objects[name] = deepctr.layers.custom_objects[name]
