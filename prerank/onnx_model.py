"""Runs an exported model's ONNX files, without TensorFlow."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prerank.backend import Signature, State
from prerank.encoding import Indexer
from prerank.errors import ArtefactError, InputError
from prerank.forks import PerProcess
from prerank.regular import require_regular
from prerank.self_contained import check_self_contained
from prerank.threads import cores

_SUFFIX = ".onnx"
_OF_STATES = "score"
_OF_ONE_USER = {"user_tower", _OF_STATES}
_FATAL = 4


class OnnxModel:
    """See :class:`prerank.backend.Backend`. Raw values become indices here, as the files take those.

    Args:
        folder: the export.

    Raises:
        ArtefactError: its vocabularies are damaged.
        InputError: ONNX Runtime is not installed.
    """

    def __init__(self, folder: Path):
        # Its reports of usage to its maker come from a thread, for which a forked worker would wait when it ends.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                f"an ONNX export needs ONNX Runtime ({error}): pip install onnxruntime", path=folder
            ) from error
        self._runtime = onnxruntime
        self._folder = folder
        try:
            self._indexer = Indexer(folder)
        except InputError as error:
            raise ArtefactError(str(error)) from error

    def signature(self, name: str, inputs: Sequence[str]) -> Signature:
        # One user is too small a piece of work to share out. A count that is given keeps to the process's cores.
        threads = 1 if name in _OF_ONE_USER else cores()
        indexer = None if name == _OF_STATES else self._indexer
        return _Positional(lambda: self._session(name, threads, inputs), threads, inputs, indexer, self._errors)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def load(self) -> None:
        """Nothing: a signature loads its file when it is asked for."""

    def _session(self, name: str, threads: int, inputs: Sequence[str]) -> Any:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL  # errors are raised, and named in one line
        path = self._path(name)
        require_regular(path)
        check_self_contained(path)
        try:
            session = self._runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except self._errors as error:
            raise ArtefactError(f"not a whole ONNX file: {error}", path=path) from error
        described = set(inputs) if name == _OF_STATES else {self._indexer.arguments[name] for name in inputs}
        if lacking := sorted({value.name for value in session.get_inputs()} - described):
            raise ArtefactError(f"the file takes {lacking[0]!r}, which is not described", path=path)
        return session

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What ONNX Runtime raises."""
        found = vars(self._runtime.capi.onnxruntime_pybind11_state).values()
        return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


class _Positional:
    """A session as a function of arrays in order.

    A forked child goes on with the parent's session, and shares its memory, if it has no threads of its own and no
    thread of the parent was within it, where it may hold a lock. Otherwise the child reads the file again.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        threads: int,
        inputs: Sequence[str],
        indexer: Indexer | None,
        errors: tuple[type[Exception], ...],
    ):
        self._running: list[None] = []
        self._session = PerProcess(start, survives=lambda: threads == 1 and not self._running)
        self._errors = errors
        self._inputs = tuple(inputs)
        self._indexer = indexer
        self._arguments = {} if indexer is None else indexer.arguments
        session = self._session.get()
        self._taken = {value.name for value in session.get_inputs()}
        self._outputs = [value.name for value in session.get_outputs()]

    def __call__(self, values: Sequence[np.ndarray]) -> State:
        pairs = zip(self._inputs, values, strict=True)
        named = {name: value for name, value in pairs if self._arguments.get(name, name) in self._taken}
        if self._indexer is not None:
            named = self._indexer.encode(named)
        session = self._session.get()
        self._running.append(None)
        try:
            return dict(zip(self._outputs, session.run(self._outputs, named), strict=True))
        except self._errors as error:
            raise ArtefactError(f"the model cannot be run: {error}") from error
        finally:
            self._running.pop()
