"""An item index on disk: versions that are whole, and one file that says which of them counts.

    index/CURRENT                  the version's name, replaced in one step
    index/v000002/manifest.json    model, scorer, storage type, and the size and SHA-256 of every file
    index/v000002/ids.npy          (N,) item ids
    index/v000002/heads.npy        (parts, N, width) of each array that the kernel reads, memory-mapped
    index/v000002/heads.scales.npy (parts, N, 1), int8 only

A version is never changed. A writer that is killed leaves `CURRENT` as it was; a reader keeps what it has mapped
although its version is deleted.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prerank import folders
from prerank import manifest as manifests
from prerank.array_files import map_npy
from prerank.errors import ArtefactError, InputError
from prerank.kernels import META_INDEX, ArrayLayout
from prerank.layout import StorageType
from prerank.locks import LOCK, BusyError, Report, locked
from prerank.manifest import FORMAT, IDS, MANIFEST, ArrayEntry, Manifest, StoredFile, scales_of
from prerank.reading import open_regular
from prerank.regular import require_regular
from prerank.storage import StoredArray

_CURRENT = "CURRENT"
_LONGEST_CURRENT = 100
_TRIES = 5
_VERSION = re.compile(r"v[0-9]{1,18}", re.ASCII)
_STORED = {"float32": {"float32"}, "float16": {"float32", "float16"}, "int8": {"float32", "int8"}}
_INTEGERS = {"int32", "int64"}


@dataclass(frozen=True)
class ItemStates:
    """What an index holds.

    Attributes:
        ids: (N,) int64 or strings.
        arrays: by name, (parts, N, width).
        dtype: how floats are stored.
    """

    ids: np.ndarray
    arrays: dict[str, StoredArray]
    dtype: StorageType

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item's states."""
        return sum(array.bytes_per_item for array in self.arrays.values())


def read(folder: Path, fingerprint: str, layout: ArrayLayout | None = None) -> tuple[str, ItemStates]:
    """The current version's name and its states, memory-mapped. Each file is read once, for its checksum.

    Args:
        folder: the index.
        fingerprint: of the model that will score.
        layout: the arrays that its kernel reads; not checked if None.

    Raises:
        ArtefactError: there is no index, a file is missing, truncated or damaged, or the index is another model's.
    """
    for _ in range(_TRIES):
        version = current(folder)
        try:
            return version, _read_version(folder / version, fingerprint, layout)
        except FileNotFoundError as error:
            # a writer may have put a newer version in its place, and deleted this one
            if current(folder) == version:
                raise ArtefactError("the item index lacks this file", path=error.filename) from error
        except OSError as error:
            raise ArtefactError(f"cannot be read: {error.strerror}", path=error.filename) from error
    raise ArtefactError("the item index changes faster than it can be read", path=folder)


def current(folder: Path) -> str:
    """Name of the version that counts.

    Raises:
        ArtefactError: there is none, or the file is damaged.
    """
    require_regular(folder / _CURRENT)
    try:
        with open_regular(folder / _CURRENT) as file:
            version = file.read(_LONGEST_CURRENT).strip().decode("ascii", "replace")
    except OSError as error:
        message = f"no item index: {error.strerror}; build one with prerank index"
        raise ArtefactError(message, path=folder / _CURRENT) from error
    if not _VERSION.fullmatch(version):
        raise ArtefactError(
            f"damaged: expected the name of a version. Received: {version[:20]!r}", path=folder / _CURRENT
        )
    return version


def model_name(folder: Path) -> str | None:
    """Name of the model that an index is of, if its manifest says so.

    Raises:
        ArtefactError: there is no index, or its manifest cannot be read.
    """
    return _current_manifest(folder).get("model")


def fingerprint(folder: Path) -> str:
    """Fingerprint of the model that an index is of.

    Raises:
        ArtefactError: there is no index, or its manifest cannot be read.
    """
    return _current_manifest(folder)["fingerprint"]


def _current_manifest(folder: Path) -> Manifest:
    path = folder / current(folder) / MANIFEST
    try:
        return manifests.read(path)
    except OSError as error:
        raise ArtefactError(f"the item index lacks this file: {error.strerror}", path=path) from error


def stamp(folder: Path) -> tuple[int, int]:
    """Changes whenever another version becomes the current one; costs one look at a file."""
    try:
        found = os.stat(folder / _CURRENT)
    except OSError as error:
        raise ArtefactError(f"no item index: {error.strerror}", path=folder / _CURRENT) from error
    return found.st_mtime_ns, found.st_ino


def _read_version(place: Path, fingerprint: str, layout: ArrayLayout | None) -> ItemStates:
    manifest = manifests.read(place / MANIFEST)
    if manifest["fingerprint"] != fingerprint:
        raise ArtefactError(
            "the index was built by another model, or the model's files have changed since; build it again",
            path=place / MANIFEST,
        )
    if layout is not None:
        _check_layout(manifest, layout, place / MANIFEST)
    loaded = {name: _load(place / name, described) for name, described in manifest["files"].items()}
    arrays = {name: StoredArray(loaded[f"{name}.npy"], loaded.get(scales_of(name))) for name in manifest["arrays"]}
    states = ItemStates(loaded[IDS], arrays, manifest["dtype"])
    _check(states, manifest, place)
    return states


def _check_layout(manifest: Manifest, layout: ArrayLayout, path: Path) -> None:
    """See that an index has the arrays that the kernel reads: each request would fail otherwise."""
    found = {name: (entry["shape"][0], entry["shape"][2]) for name, entry in manifest["arrays"].items()}
    if found != layout:
        raise ArtefactError(
            f"the model reads the arrays {layout}, by (parts, width); build it again. Received: {found}", path=path
        )


def _load(path: Path, described: StoredFile) -> np.ndarray:
    """One file, memory-mapped, that has the size and the checksum of the manifest."""
    require_regular(path)
    if (found := path.stat().st_size) != described["bytes"]:
        raise ArtefactError(f"truncated: {described['bytes']} bytes expected. Received: {found}", path=path)
    if _checksum(path) != described["sha256"]:
        raise ArtefactError("damaged: its SHA-256 is not that of the manifest", path=path)
    return map_npy(path)


def _checksum(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(states: ItemStates, manifest: Manifest, place: Path) -> None:
    """See that arrays have the types and shapes that the manifest says, and one row an id."""
    ids = states.ids
    if ids.ndim != 1 or not (ids.dtype == np.int64 or ids.dtype.kind == "U"):
        raise ArtefactError(f"expected ids of int64 or text. Received: {ids.dtype} {ids.shape}", path=place / IDS)
    if manifest.get("items", len(ids)) != len(ids):
        raise ArtefactError(f"expected {len(ids)} items. Received: {manifest['items']}", path=place / MANIFEST)
    for name, array in states.arrays.items():
        _check_array(name, array, manifest["arrays"][name], states, place)


def _check_array(name: str, array: StoredArray, described: ArrayEntry, states: ItemStates, place: Path) -> None:
    values, scales = array.values, array.scales
    found = {"shape": list(values.shape), "dtype": str(values.dtype)}
    if found != described or values.shape[1] != len(states.ids):
        raise ArtefactError(
            f"expected {described} of {len(states.ids)} items. Received: {found}", path=place / f"{name}.npy"
        )
    allowed = _INTEGERS if name == META_INDEX else _STORED[states.dtype] | _INTEGERS
    if found["dtype"] not in allowed:
        raise ArtefactError(f"{found['dtype']} in an index of {states.dtype}", path=place / f"{name}.npy")
    scaled = scales is not None and scales.dtype == np.float32 and scales.shape == (*values.shape[:2], 1)
    if scaled != (found["dtype"] == "int8"):
        raise ArtefactError("expected a float32 scale for each vector of int8", path=place / scales_of(name))


@contextmanager
def writing(folder: Path, wait: Report | None = None) -> Iterator[None]:
    """Hold the index for writing, and delete what a killed writer left.

    Args:
        folder: the index, made if need be.
        wait: wait for another process that is writing, and say so in a line; do not wait if None.

    Raises:
        InputError: the folder cannot be written, or another process is writing.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, wait))
            _sweep(folder)
        except BusyError as error:
            raise InputError("--out: another process is writing this index", path=folder) from error
        except OSError as error:
            raise InputError(f"--out: cannot write there: {error.strerror}", path=folder) from error
        yield


def _sweep(folder: Path) -> None:
    """Delete the versions that do not count, and what is left of others."""
    folders.sweep(folder)
    try:
        counts = current(folder) if (folder / _CURRENT).exists() else None
    except ArtefactError:
        return  # a version may be whole, and is only replaced by another
    for other in _versions(folder):
        if other.name != counts:
            folders.discard(other)


def _versions(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _VERSION.fullmatch(path.name)]


def publish(folder: Path, states: ItemStates, about: Mapping[str, Any]) -> str:
    """Write a new version, make it the current one in one step, and delete the others. Call within :func:`writing`.

    Args:
        folder: the index.
        states: what to write.
        about: further entries of the manifest; `fingerprint` is needed.

    Returns:
        The version's name.
    """
    taken = [int(path.name[1:]) for path in _versions(folder)]
    version = f"v{max(taken, default=0) + 1:06d}"
    with folders.replacing(folder / version) as working:
        _write_version(working, states, dict(about))
    folders.write_text(folder / _CURRENT, version + "\n")
    _sweep(folder)
    return version


def _write_version(place: Path, states: ItemStates, about: dict[str, Any]) -> None:
    files = {IDS: states.ids}
    for name, array in states.arrays.items():
        files[f"{name}.npy"] = array.values
        if array.scales is not None:
            files[scales_of(name)] = array.scales
    for name, values in files.items():
        np.save(place / name, values)
    manifest = {
        "format": FORMAT,
        **about,
        "dtype": states.dtype,
        "items": len(states.ids),
        "bytes_per_item": states.bytes_per_item,
        "arrays": {name: {"shape": a.values.shape, "dtype": str(a.values.dtype)} for name, a in states.arrays.items()},
        "files": {name: {"bytes": (place / name).stat().st_size, "sha256": _checksum(place / name)} for name in files},
    }
    (place / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
