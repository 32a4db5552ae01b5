"""Whether the files of a version of an index fit each other."""

from pathlib import Path

import numpy as np

from prerank.attributes import Attribute
from prerank.errors import ArtefactError
from prerank.item_states import ItemStates
from prerank.kernels import is_meta_index
from prerank.manifest import IDS, MANIFEST, REMOVED, ArrayEntry, Manifest, files_of, scales_of
from prerank.storage import StoredArray

_STORED = {"float32": {"float32"}, "float16": {"float32", "float16"}, "int8": {"float32", "int8"}}
_INTEGERS = {"int32", "int64"}


def check(states: ItemStates, manifest: Manifest, place: Path) -> None:
    """See that arrays have the types and shapes that the manifest says, and one row an id.

    Raises:
        ArtefactError: one has not; names its file.
    """
    ids = states.ids
    if ids.ndim != 1 or not (ids.dtype == np.int64 or ids.dtype.kind == "U"):
        raise ArtefactError(f"expected ids of int64 or text. Received: {ids.dtype} {ids.shape}", path=place / IDS)
    if manifest.get("items", len(ids)) != len(ids):
        raise ArtefactError(f"expected {len(ids)} items. Received: {manifest['items']}", path=place / MANIFEST)
    for name, array in states.arrays.items():
        _check_array(name, array, manifest["arrays"][name], states, place)

    for name, attribute in states.attributes.items():
        _check_attribute(attribute, len(states.ids), place / files_of(name, False)["codes"])
    _check_removed(states.removed, len(states.ids), place / REMOVED)


def _check_attribute(attribute: Attribute, count: int, path: Path) -> None:
    kinds = {"text": "U", "int": "i", "number": "f"}
    codes, values, offsets = attribute.codes, attribute.values, attribute.offsets
    fits = values.ndim == codes.ndim == 1 and values.dtype.kind == kinds[attribute.kind] and codes.dtype == np.int32
    if fits and offsets is not None:
        fits = offsets.ndim == 1 and offsets.dtype == np.int64 and len(offsets) > 0
        fits = fits and bool(offsets[0] == 0 and offsets[-1] == len(codes) and (np.diff(offsets) >= 0).all())
    if fits and len(codes):
        fits = bool(codes.min() >= 0 and codes.max() < len(values))
    if not fits or len(attribute) != count:
        raise ArtefactError(f"damaged: it does not fit {count} items of {attribute.kind}", path=path)


def _check_removed(removed: np.ndarray, count: int, path: Path) -> None:
    fits = removed.ndim == 1 and removed.dtype == np.int64
    if not fits or len(removed) and not (removed[0] >= 0 and removed[-1] < count and (np.diff(removed) > 0).all()):
        raise ArtefactError(f"damaged: expected ascending places of {count} items", path=path)


def _check_array(name: str, array: StoredArray, described: ArrayEntry, states: ItemStates, place: Path) -> None:
    values, scales = array.values, array.scales
    found = {"shape": list(values.shape), "dtype": str(values.dtype)}
    if found != described or values.shape[1] != len(states.ids):
        raise ArtefactError(
            f"expected {described} of {len(states.ids)} items. Received: {found}", path=place / f"{name}.npy"
        )
    allowed = _INTEGERS if is_meta_index(name) else _STORED[states.dtype] | _INTEGERS
    if found["dtype"] not in allowed:
        raise ArtefactError(f"{found['dtype']} in an index of {states.dtype}", path=place / f"{name}.npy")
    scaled = scales is not None and scales.dtype == np.float32 and scales.shape == (*values.shape[:2], 1)
    if scaled != (found["dtype"] == "int8"):
        raise ArtefactError("expected a float32 scale for each vector of int8", path=place / scales_of(name))
