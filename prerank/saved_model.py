"""Runs an exported SavedModel."""

import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from prerank import forks
from prerank.backend import Signature, State
from prerank.errors import ArtefactError, ForkedError, InputError
from prerank.forks import PerProcess
from prerank.regular import require_regular

_PATIENCE = 20.0
"""Seconds that a first, trivial computation may take."""


class SavedModel:
    """See :class:`prerank.backend.Backend`.

    TensorFlow is imported and the model loaded at the first call, as neither can be used any more in a forked child of
    a process that has begun to compute.

    Args:
        folder: the export.
        arguments: by input name what the signatures call it, where that is another name.

    Raises:
        InputError: TensorFlow is not installed.
    """

    def __init__(self, folder: Path, arguments: Mapping[str, str] = MappingProxyType({})):
        if not _is_installed("tensorflow"):
            raise InputError(
                "a SavedModel needs TensorFlow, which is not installed: pip install tensorflow", path=folder
            )
        self._folder = folder
        self._arguments = arguments
        self._loaded = PerProcess(self._load)
        self._signatures: list[_Positional] = []

    @property
    def loaded(self) -> Any:
        """What `tf.saved_model.load` gives.

        Raises:
            ArtefactError: the SavedModel is not whole.
            ForkedError: TensorFlow had begun before this process was forked.
        """
        return self._loaded.get()

    def signature(self, name: str, inputs: Sequence[str]) -> Signature:
        signature = _Positional(self, name, inputs)
        self._signatures.append(signature)
        return signature

    def load(self) -> None:
        for signature in self._signatures:
            signature.function.get()

    def trace(self, name: str, inputs: Sequence[str]) -> Callable[[Sequence[np.ndarray]], State]:
        """A signature without the cost of its keyword arguments."""
        import tensorflow as tf

        names = [self._arguments.get(name, name) for name in inputs]
        try:
            function = self.loaded.signatures[name]
            expected = function.structured_input_signature[1]
            specs = [expected[name] for name in names]
        except KeyError as error:
            message = f"the SavedModel is not as features.json says, it lacks {error}"
            raise ArtefactError(message, path=self._folder) from error
        outputs = sorted(function.structured_outputs)

        def call(*values: Any) -> list[Any]:
            found = function(**dict(zip(names, values, strict=True)))
            return [found[name] for name in outputs]

        # about 0.12 ms less a call than the signature itself takes, which sorts and checks keywords
        traced = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()

        def run(values: Sequence[np.ndarray]) -> State:
            found = traced(*[tf.constant(value) for value in values])
            return {name: value.numpy() for name, value in zip(outputs, found, strict=True)}

        return run

    def _load(self) -> Any:
        if forks.tensorflow_threads() == "lost":
            raise ForkedError(self._folder)
        import tensorflow as tf

        if forks.tensorflow_threads() == "unsure" and not _computes(tf):
            raise ForkedError(self._folder)
        for part in ("*.pb", "variables/*", "assets/*"):
            for path in self._folder.glob(part):
                require_regular(path)
        try:
            return tf.saved_model.load(str(self._folder))
        except (tf.errors.OpError, OSError, ValueError, RuntimeError, IndexError) as error:
            raise ArtefactError(f"not a whole SavedModel: {error}", path=self._folder) from error


class _Positional:
    """A signature, traced in each process at its first call."""

    def __init__(self, model: SavedModel, name: str, inputs: Sequence[str]):
        self.function = PerProcess(lambda: model.trace(name, inputs))

    def __call__(self, values: Sequence[np.ndarray]) -> State:
        return self.function.get()(values)


def _is_installed(package: str) -> bool:
    # a module of None is one that must not be imported
    return sys.modules[package] is not None if package in sys.modules else bool(importlib.util.find_spec(package))


def _computes(tf: Any) -> bool:
    """Whether TensorFlow computes at all: without its threads it would wait for ever, so another thread tries it."""
    ended = threading.Event()

    def attempt() -> None:
        try:
            tf.function(lambda value: value + 1)(tf.constant(1))
        finally:
            ended.set()

    threading.Thread(target=attempt, daemon=True).start()
    return ended.wait(_PATIENCE)
