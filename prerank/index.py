"""An item index on disk: versions that are whole, and one file that says which of them counts.

    index/CURRENT                  the version's name, replaced in one step
    index/v000002/manifest.json    model, scorer, storage type, and the size and SHA-256 of every file
    index/v000002/ids.npy          (N,) item ids
    index/v000002/heads.npy        (parts, N, width) of each array that the kernel reads, memory-mapped
    index/v000002/heads.scales.npy (parts, N, 1), int8 only
    index/v000002/removed.npy      (R,) places of items that were taken out since their states were computed
    index/v000002/attribute.*.npy  see :mod:`prerank.attributes`

A version is never changed. A writer that is killed leaves `CURRENT` as it was; a reader keeps what it has mapped
although its version is deleted.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from prerank import folders
from prerank import manifest as manifests
from prerank.array_files import map_npy
from prerank.attributes import Attribute
from prerank.errors import ArtefactError, InputError
from prerank.index_checks import check
from prerank.item_states import ItemStates
from prerank.kernels import ArrayLayout
from prerank.locks import LOCK, BusyError, Report, locked
from prerank.manifest import (
    EXTENDED,
    FORMAT,
    IDS,
    MANIFEST,
    REMOVED,
    Manifest,
    StoredFile,
    files_of,
    scales_of,
)  # fmt: skip
from prerank.reading import open_regular
from prerank.regular import require_regular
from prerank.storage import StoredArray

_CURRENT = "CURRENT"
_LONGEST_CURRENT = 100
_TRIES = 5
_VERSION = re.compile(r"v[0-9]{1,18}", re.ASCII)


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
    attributes = {
        name: Attribute(entry["kind"], **{part: loaded[file] for part, file in files_of(name, entry["lists"]).items()})
        for name, entry in manifest.get("attributes", {}).items()
    }
    states = ItemStates(loaded[IDS], arrays, manifest["dtype"], attributes, loaded.get(REMOVED, np.empty(0, np.int64)))
    check(states, manifest, place)
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


@contextmanager
def writing(folder: Path, wait: Report | None = None, keep: int = 0) -> Iterator[None]:
    """Hold the index for writing, and delete what a killed writer left.

    Args:
        folder: the index, made if need be.
        wait: wait for another process that is writing, and say so in a line; do not wait if None.
        keep: how many versions to keep beside the one that counts.

    Raises:
        InputError: the folder cannot be written, or another process is writing.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, wait))
            _sweep(folder, keep)
        except BusyError as error:
            raise InputError("--out: another process is writing this index", path=folder) from error
        except OSError as error:
            raise InputError(f"--out: cannot write there: {error.strerror}", path=folder) from error
        yield


def _sweep(folder: Path, keep: int = 0) -> None:
    """Delete the versions that do not count, but for the newest `keep`, and what is left of others."""
    folders.sweep(folder)
    try:
        counts = current(folder) if (folder / _CURRENT).exists() else None
    except ArtefactError:
        return  # a version may be whole, and is only replaced by another
    others = sorted((path for path in _versions(folder) if path.name != counts), key=_number, reverse=True)
    for other in others[keep:]:
        folders.discard(other)


def _versions(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _VERSION.fullmatch(path.name)]


def _number(version: Path) -> int:
    return int(version.name[1:])


def publish(folder: Path, states: ItemStates, about: Mapping[str, Any], keep: int = 0) -> str:
    """Write a new version, make it the current one in one step, and delete the others. Call within :func:`writing`.

    Args:
        folder: the index.
        states: what to write.
        about: further entries of the manifest; `fingerprint` is needed.
        keep: how many of the others to keep.

    Returns:
        The version's name.
    """
    return _publish(folder, lambda working: _write_version(working, states, dict(about)), keep)


def publish_without(folder: Path, removed: np.ndarray, keep: int = 0) -> str:
    """As :func:`publish`, of the current version with other places `removed` (R,); its other files are linked."""
    before = folder / current(folder)

    def write(working: Path) -> None:
        manifest = manifests.read(before / MANIFEST)
        files = {name: entry for name, entry in manifest["files"].items() if name != REMOVED}
        for name in files:
            folders.link_or_copy(before / name, working / name)
        np.save(working / REMOVED, removed)
        files[REMOVED] = _entry(working / REMOVED)
        _write_manifest(working, {**manifest, "format": EXTENDED, "removed": len(removed), "files": files})

    return _publish(folder, write, keep)


def _publish(folder: Path, write: Callable[[Path], None], keep: int) -> str:
    taken = [_number(path) for path in _versions(folder)]
    version = f"v{max(taken, default=0) + 1:06d}"
    with folders.replacing(folder / version) as working:
        write(working)
    _switch(folder, version)
    _sweep(folder, keep)
    return version


def _switch(folder: Path, version: str) -> None:
    folders.write_text(folder / _CURRENT, version + "\n")


def roll_back(folder: Path, fingerprint: str, layout: ArrayLayout | None = None, to: str | None = None) -> str:
    """Make an earlier version the current one. Call within :func:`writing` that keeps it.

    Args:
        folder: the index.
        fingerprint: of the model that will score.
        layout: the arrays that its kernel reads; not checked if None.
        to: the version; by default the newest that is older than the current one.

    Returns:
        The version's name.

    Raises:
        InputError: there is no such version.
        ArtefactError: it is damaged, or another model's; the current one stays.
    """
    now = current(folder)
    older = sorted(path for path in _versions(folder) if _number(path) < int(now[1:]))
    version = to or max(older, key=_number, default=folder).name
    if version not in {path.name for path in _versions(folder)} - {now}:
        kept = sorted({path.name for path in _versions(folder)} - {now})
        has = f"there are {', '.join(kept)}" if kept else "none was kept, see prerank index --keep"
        raise InputError(f"no version {to or 'before ' + now} to go back to: {has}", path=folder)
    try:
        _read_version(folder / version, fingerprint, layout)
    except OSError as error:
        raise ArtefactError(f"cannot be read: {error.strerror}", path=error.filename) from error
    _switch(folder, version)
    return version


def _write_version(place: Path, states: ItemStates, about: dict[str, Any]) -> None:
    files = {IDS: states.ids}
    for name, array in states.arrays.items():
        files[f"{name}.npy"] = array.values
        if array.scales is not None:
            files[scales_of(name)] = array.scales
    for name, attribute in states.attributes.items():
        lists = attribute.offsets is not None
        files |= {file: getattr(attribute, part) for part, file in files_of(name, lists).items()}
    attributes = {name: {"kind": a.kind, "lists": a.offsets is not None} for name, a in states.attributes.items()}
    for name, values in files.items():
        np.save(place / name, values)
    manifest = {
        "format": EXTENDED if attributes else FORMAT,
        **about,
        "dtype": states.dtype,
        "items": len(states.ids),
        "bytes_per_item": states.bytes_per_item,
        **({"attributes": attributes} if attributes else {}),
        "arrays": {name: {"shape": a.values.shape, "dtype": str(a.values.dtype)} for name, a in states.arrays.items()},
        "files": {name: _entry(place / name) for name in files},
    }
    _write_manifest(place, manifest)


def _entry(path: Path) -> StoredFile:
    return {"bytes": path.stat().st_size, "sha256": _checksum(path)}


def _write_manifest(place: Path, manifest: Mapping[str, Any]) -> None:
    (place / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
