"""Runs an exported model's ONNX files, without TensorFlow."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prerank.backend import Signature, State
from prerank.encoding import Indexer
from prerank.errors import ArtefactError, InputError
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
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                f"an ONNX export needs ONNX Runtime ({error}): requirements-onnx.txt", path=folder
            ) from error
        self._runtime = onnxruntime
        self._folder = folder
        try:
            self._indexer = Indexer(folder)
        except InputError as error:
            raise ArtefactError(str(error)) from error

    @property
    def signatures(self) -> Collection[str]:
        return {path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}")}

    def signature(self, name: str, inputs: Sequence[str]) -> Signature:
        session = self._session(name)
        if lacking := sorted({value.name for value in session.get_inputs()} - set(inputs)):
            raise ArtefactError(f"the file takes {lacking[0]!r}, which is not described", path=self._path(name))
        return _Positional(session, inputs, None if name == _OF_STATES else self._indexer, self._errors)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _session(self, name: str) -> Any:
        options = self._runtime.SessionOptions()
        # One user is too small a piece of work to share out. A count that is given keeps to the process's cores.
        options.intra_op_num_threads = 1 if name in _OF_ONE_USER else cores()
        options.log_severity_level = _FATAL  # errors are raised, and named in one line
        path = self._path(name)
        check_self_contained(path)
        try:
            return self._runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except self._errors as error:
            raise ArtefactError(f"not a whole ONNX file: {error}", path=path) from error

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What ONNX Runtime raises."""
        found = vars(self._runtime.capi.onnxruntime_pybind11_state).values()
        return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


class _Positional:
    """A session as a function of arrays in order."""

    def __init__(
        self, session: Any, inputs: Sequence[str], indexer: Indexer | None, errors: tuple[type[Exception], ...]
    ):
        self._session = session
        self._errors = errors
        self._inputs = tuple(inputs)
        self._indexer = indexer
        self._taken = {value.name for value in session.get_inputs()}
        self._outputs = [value.name for value in session.get_outputs()]

    def __call__(self, values: Sequence[np.ndarray]) -> State:
        named = {name: value for name, value in zip(self._inputs, values, strict=True) if name in self._taken}
        if self._indexer is not None:
            named = self._indexer.encode(named)
        try:
            found = self._session.run(self._outputs, named)
        except self._errors as error:
            raise ArtefactError(f"the model cannot be run: {error}") from error
        return dict(zip(self._outputs, found, strict=True))
