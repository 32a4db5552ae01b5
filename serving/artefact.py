"""An exported model, checked, with its towers as functions of NumPy arrays."""

import hashlib
import json
import tokenize
import zipfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from errors import ArtefactError, InputError
from serving.backend import Backend, Signature
from serving.fallback import ExportedScorer
from serving.kernels import Kernel, make_kernel
from serving.layout import FEATURES, SCORER

_TYPES = {"files": dict, "format": str, "inputs": list, "model": str, "outputs": dict, "specification": dict}
_KEYS = {*_TYPES, "scorer"}


class Artefact:
    """A folder that `serving.export` wrote, a SavedModel or ONNX files.

    Args:
        folder: where it lies; with `--export_version N` that is `DIR/N`.

    Attributes:
        features: what `features.json` holds.
        fingerprint: SHA-256 of the files that decide the scores; an index is of one fingerprint.
        kernel: the model's scorer; in NumPy where the model has one, or else the exported `score`.

    Raises:
        ArtefactError: a file is missing, truncated or damaged.
        InputError: what runs the format is not installed.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.features = _read_features(folder)
        self.fingerprint = _fingerprint(folder, self.features["files"])
        self.backend = _backend(folder, self.features["format"])
        if self.decoupled:
            self.kernel = self._make_kernel()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.features["model"]

    @property
    def decoupled(self) -> bool:
        """Whether the model has towers; a model of one tower cannot be indexed."""
        return "user_tower" in self.backend.signatures

    def inputs(self, side: str | None = None) -> list[dict[str, Any]]:
        """The described inputs of a side, or of both."""
        return [field for field in self.features["inputs"] if side in (None, field["side"])]

    @cached_property
    def item_id(self) -> str:
        """Name of the item's id."""
        return self.features["specification"]["item_id"]

    def signature(self, name: str, inputs: Sequence[str]) -> Signature:
        """A signature as a function of positional arrays, in the order of `inputs`: raw values, or states."""
        return self.backend.signature(name, inputs)

    @cached_property
    def user_tower(self) -> Signature:
        """User features, in the order of `inputs("user")`, to the user state by name."""
        return self.signature("user_tower", [field["name"] for field in self.inputs("user")])

    @cached_property
    def item_tower(self) -> Signature:
        """Item features, in the order of `inputs("item")`, to the item state by name."""
        return self.signature("item_tower", [field["name"] for field in self.inputs("item")])

    def _make_kernel(self) -> Kernel:
        kind = self.features["scorer"]
        if kind:
            return make_kernel(kind, _read_weights(self.folder / SCORER))
        states = [name for tower in ("user_tower", "item_tower") for name in self.features["outputs"][tower]]
        return ExportedScorer(self.signature("score", states), self.features["outputs"])


def _backend(folder: Path, name: str) -> Backend:
    """What runs a format. Imported here, so that ONNX files are served without TensorFlow."""
    if name == "onnx":
        from serving.onnx_model import OnnxModel

        return OnnxModel(folder)
    if name == "saved_model":
        try:
            from serving.saved_model import SavedModel
        except ImportError as error:
            raise InputError(f"a SavedModel needs TensorFlow ({error}): requirements.txt", path=folder) from error
        return SavedModel(folder)
    raise ArtefactError(f"expected the format saved_model or onnx. Received: {name}", path=folder / FEATURES)


def _read_features(folder: Path) -> dict[str, Any]:
    path = folder / FEATURES
    try:
        features = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(f"not an exported model: {error.strerror}", path=path) from error
    except ValueError as error:
        raise ArtefactError(f"truncated or damaged: {error}", path=path) from error
    if not isinstance(features, dict) or not set(features) >= _KEYS:
        raise ArtefactError(f"not the description of an exported model, it needs {sorted(_KEYS)}", path=path)
    for name, kind in _TYPES.items():
        if not isinstance(features[name], kind):
            raise ArtefactError(f"damaged: {name!r} is {features[name]!r}", path=path)
    if not all(isinstance(size, int) for size in features["files"].values()):
        raise ArtefactError("damaged: 'files' does not give each file's size", path=path)
    return features


def _read_weights(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as weights:
            return dict(weights)
    except (OSError, ValueError, EOFError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"truncated or damaged: {error}", path=path) from error


def _fingerprint(folder: Path, sizes: Mapping[str, int]) -> str:
    """Hash of the description and of the files that it lists, each of which has to be there as a whole."""
    digest = hashlib.sha256()
    for name in (FEATURES, *sorted(sizes)):
        path = folder / name
        try:
            with path.open("rb") as file:
                found = file.seek(0, 2)
                if found != sizes.get(name, found):
                    raise ArtefactError(f"truncated: {sizes[name]} bytes expected. Received: {found}", path=path)
                file.seek(0)
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ArtefactError(f"the exported model lacks this file: {error.strerror}", path=path) from error
    return digest.hexdigest()
