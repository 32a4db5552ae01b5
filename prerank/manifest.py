"""`manifest.json` of one version of an item index, typed."""

from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import Field, with_config
from typing_extensions import TypedDict

from prerank import reading
from prerank.description import Count, Digest
from prerank.errors import ArtefactError, InputError
from prerank.reading import RECORD, Name
from prerank.storage import StorageType

MANIFEST, IDS, REMOVED = "manifest.json", "ids.npy", "removed.npy"
FORMAT, EXTENDED = 2, 3
"""Formats: 2 has ids and states, 3 attributes or removed items too, which an older reader must not pass over."""
_SCALES = ".scales"
_Type = Annotated[str, Field(max_length=10)]


@with_config(RECORD)
class ArrayEntry(TypedDict):
    """An array: (parts, items, width)."""

    shape: Annotated[list[Count], Field(min_length=3, max_length=3)]
    dtype: _Type


@with_config(RECORD)
class StoredFile(TypedDict):
    """A file of a version."""

    bytes: Count
    sha256: Digest


@with_config(RECORD)
class AttributeEntry(TypedDict):
    """An attribute of the items; see :mod:`prerank.attributes`."""

    kind: Literal["text", "int", "number"]
    lists: bool


@with_config(RECORD)
class Manifest(TypedDict):
    """What `manifest.json` holds."""

    format: Literal[2, 3]
    model: NotRequired[str | None]
    fingerprint: Digest
    dtype: StorageType
    items: NotRequired[Count]
    removed: NotRequired[Count]
    attributes: NotRequired[dict[Name, AttributeEntry]]
    arrays: dict[Name, ArrayEntry]
    files: dict[Name, StoredFile]


def scales_of(array: str) -> str:
    """The file of an array's scales."""
    return f"{array}{_SCALES}.npy"


def files_of(attribute: str, lists: bool) -> dict[str, str]:
    """The files of an attribute, by what they hold."""
    parts = ("values", "codes", "offsets") if lists else ("values", "codes")
    return {part: f"attribute.{attribute}.{part}.npy" for part in parts}


def read(path: Path) -> Manifest:
    """A manifest, with every file that its arrays need.

    Raises:
        OSError: it cannot be read.
        ArtefactError: it is damaged, of another format, or lists other files than its arrays need.
    """
    try:
        text = reading.read_text(path)
        _check_format(reading.parse_json(text))
        found = reading.check(text, Manifest)
        _check_files(found)
    except InputError as error:
        raise ArtefactError(f"not a whole manifest of an item index: {error}", path=path) from error
    return found


def _check_format(found: Any) -> None:
    """Say of another format what to do, before its fields are looked at."""
    if isinstance(found, dict) and (version := found.get("format")) not in (FORMAT, EXTENDED):
        raise InputError(f"index format {FORMAT} or {EXTENDED} expected, build it again. Received: {version!r}")
    if isinstance(found, dict) and (dtype := found.get("dtype")) not in get_args(StorageType):
        raise InputError(f"there is no storage type {dtype!r}")


def _check_files(found: Manifest) -> None:
    needed = {IDS, *(f"{name}.npy" for name in found["arrays"])}
    for name, entry in found.get("attributes", {}).items():
        needed |= set(files_of(name, entry["lists"]).values())
    if found.get("removed"):
        needed.add(REMOVED)
    allowed = needed | {scales_of(name) for name in found["arrays"]}
    if lacking := sorted(needed - set(found["files"])):
        raise InputError(f"the manifest lists no file {lacking[0]}")
    if unknown := sorted(set(found["files"]) - allowed):
        raise InputError(f"files: belongs to no array: {unknown[0]!r}")
