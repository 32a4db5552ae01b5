"""An exported model, checked, with its towers as functions of NumPy arrays."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from prerank import description, digests
from prerank.array_files import read_npz
from prerank.backend import Backend, Signature
from prerank.calibration import Probabilities
from prerank.errors import ArtefactError
from prerank.fallback import ExportedScorer
from prerank.folders import recover
from prerank.kernels import ArrayLayout, Kernel, array_layout, make_kernel
from prerank.layout import FEATURES, SCORER


class Artefact:
    """A folder that `export.writer` wrote, a SavedModel or ONNX files.

    Args:
        folder: where it lies; with `--export_version N` that is `DIR/N`.

    Attributes:
        features: what `features.json` holds, of the type :class:`prerank.description.Description`.
        fingerprint: SHA-256 of the files that decide the scores; an index is of one fingerprint.
        kernel: the model's scorer; in NumPy where the model has one, or else the exported `score`.
        arrays: what the kernel reads of an index, by name.
        asks: the side whose features a request gives.

    Raises:
        ArtefactError: a file is missing, truncated or damaged: each has the SHA-256 that it was exported with.
        InputError: what runs the format is not installed.
    """

    asks = "user"

    def __init__(self, folder: Path):
        _recover(folder)
        self.folder = folder
        self.features = description.read(folder)
        self.fingerprint = digests.fingerprint(folder, self.features)
        arguments = {field["name"]: field["argument"] for field in self.inputs() if "argument" in field}
        self.backend = _backend(folder, self.features["format"], arguments)
        if self.decoupled:
            self.kernel = self._make_kernel()
            self.arrays: ArrayLayout = array_layout(self.kernel, self.features["outputs"]["item_tower"])

    @property
    def name(self) -> str:
        """The model's name."""
        return self.features["model"]

    @property
    def decoupled(self) -> bool:
        """Whether the model has towers; a model of one tower cannot be indexed."""
        return "user_tower" in self.features["outputs"]

    @cached_property
    def task_calibrations(self) -> dict[str, Probabilities]:
        """What gives the probabilities of several tasks, by their names, the one that ranks first; of one task none."""
        described = [task for task in self.features.get("tasks", []) if "ranks" in task]
        described.sort(key=lambda task: not task["ranks"])
        return {task["name"]: Probabilities(task.get("calibration")) for task in described}

    def check_beside(self, path: Path) -> None:
        """See that a file which lies beside the model is as it was exported, if it is one of the export's.

        Raises:
            ArtefactError: it has changed since.
        """
        expected = self.features["files"].get(path.name)
        if expected is not None and path.exists() and path.resolve().parent == self.folder.resolve():
            digests.check(path, expected)

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
            return make_kernel(kind, read_npz(self.folder / SCORER))
        states = [name for tower in ("user_tower", "item_tower") for name in self.features["outputs"][tower]]
        return ExportedScorer(self.signature("score", states), self.features["outputs"], tuple(self.task_calibrations))


def _recover(folder: Path) -> None:
    """Put an export back that a killed writer had renamed to replace it."""
    if folder.exists():
        return
    try:
        recover(folder)
    except OSError as error:
        raise ArtefactError(f"its writer was killed, and it cannot be renamed back: {error}", path=folder) from error


def _backend(folder: Path, name: str, arguments: Mapping[str, str]) -> Backend:
    """What runs a format. Imported here, so that ONNX files are served without TensorFlow."""
    if name == "onnx":
        from prerank.onnx_model import OnnxModel

        return OnnxModel(folder)
    if name == "saved_model":
        from prerank.saved_model import SavedModel

        return SavedModel(folder, arguments)
    raise ArtefactError(f"expected the format saved_model or onnx. Received: {name}", path=folder / FEATURES)


def fingerprint_of(folder: Path) -> str:
    """The fingerprint of an exported model, without loading it.

    Raises:
        ArtefactError: a file is missing, truncated or damaged.
    """
    return digests.fingerprint(folder, description.read(folder))
