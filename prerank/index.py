"""An item index on disk: versions that are whole, and one file that says which of them counts.

    index/CURRENT                  the version's name, replaced in one step
    index/v000002/manifest.json    model, scorer, storage type, and the size and SHA-256 of every file
    index/v000002/ids.npy          (N,) item ids
    index/v000002/heads.npy        (parts, N, width) of each array that the kernel reads, memory-mapped
    index/v000002/heads.scales.npy (parts, N, 1), int8 only

A version is never changed. A writer that is killed leaves `CURRENT` as it was; a reader keeps what it has mapped
although its version is deleted.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prerank import manifest as manifests
from prerank.arrays import map_npy
from prerank.errors import ArtefactError, InputError
from prerank.kernels import META_INDEX, ArrayLayout
from prerank.manifest import FORMAT, IDS, MANIFEST, ArrayEntry, Manifest, StoredFile, scales_of
from prerank.reading import open_regular
from prerank.storage import StorageType, StoredArray

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
    try:
        with open_regular(folder / _CURRENT) as file:
            version = file.read(_LONGEST_CURRENT).strip().decode("ascii", "replace")
    except OSError as error:
        message = f"no item index: {error.strerror}; build one with python -m prerank.build_index"
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
    path = folder / current(folder) / MANIFEST
    try:
        return manifests.read(path).get("model")
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
def writing(folder: Path) -> Iterator[None]:
    """Hold the index for writing.

    Raises:
        InputError: the folder cannot be written, or another process is writing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"--out: cannot write there: {error.strerror}", path=folder) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError("--out: another process is writing this index", path=folder) from error
        yield


def publish(folder: Path, states: ItemStates, about: Mapping[str, Any]) -> str:
    """Write a new version, make it the current one in one step, and delete the others. Call within :func:`writing`.

    Args:
        folder: the index.
        states: what to write.
        about: further entries of the manifest; `fingerprint` is needed.

    Returns:
        The version's name.
    """
    taken = [int(path.name[1:]) for path in folder.glob("v[0-9]*") if _VERSION.fullmatch(path.name)]
    version = f"v{max(taken, default=0) + 1:06d}"
    working = folder / f".{version}.tmp"
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir()
    _write_version(working, states, dict(about))
    working.rename(folder / version)
    _sync(folder)
    pointer = folder / f".{_CURRENT}.tmp"
    _write_text(pointer, version + "\n")
    pointer.replace(folder / _CURRENT)
    _sync(folder)
    for other in (*folder.glob("v[0-9]*"), *folder.glob(".v[0-9]*.tmp")):
        if other.name != version:
            shutil.rmtree(other, ignore_errors=True)
    return version


def _write_version(place: Path, states: ItemStates, about: dict[str, Any]) -> None:
    files = {IDS: states.ids}
    for name, array in states.arrays.items():
        files[f"{name}.npy"] = array.values
        if array.scales is not None:
            files[scales_of(name)] = array.scales
    for name, values in files.items():
        with (place / name).open("wb") as file:
            np.save(file, values)
            file.flush()
            os.fsync(file.fileno())
    manifest = {
        "format": FORMAT,
        **about,
        "dtype": states.dtype,
        "items": len(states.ids),
        "bytes_per_item": states.bytes_per_item,
        "arrays": {name: {"shape": a.values.shape, "dtype": str(a.values.dtype)} for name, a in states.arrays.items()},
        "files": {name: {"bytes": (place / name).stat().st_size, "sha256": _checksum(place / name)} for name in files},
    }
    _write_text(place / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    _sync(place)


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Bring the folder's names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
