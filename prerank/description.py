"""`features.json`: what an export says of itself, typed, and under a SHA-256 of its own."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import FailFast, Field, with_config
from typing_extensions import TypedDict

from prerank import calibration as calibrations
from prerank import reading
from prerank.errors import ArtefactError, InputError
from prerank.layout import FEATURES, MODEL_FILES, SCORER
from prerank.reading import RECORD, InnerPath, Name

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
FORMAT_VERSION = 1
"""What :func:`read` reads: descriptions of this version and of older ones, which have none."""
Separator = Annotated[str, Field(min_length=1)]
_NO_DIGEST = "0" * 64
_MISSING = {"int64": int, "string": str}


@with_config(RECORD)
class FileEntry(TypedDict):
    """A file of an export."""

    bytes: Count
    sha256: Digest


@with_config(RECORD)
class Input(TypedDict):
    """An input, raw or, in ONNX, encoded."""

    name: Name
    side: Literal["user", "item"]
    kind: Literal["sparse", "sequence", "dense"]
    dtype: Literal["int64", "string", "float32"]
    missing: int | str
    argument: NotRequired[Name]
    vocabulary: NotRequired[Name]
    vocabulary_size: NotRequired[Count]
    hash_buckets: NotRequired[Annotated[int, Field(gt=0, le=2**31)]]
    separator: NotRequired[Separator]
    default: NotRequired[float | list[Any]]
    mean: NotRequired[float]
    scale: NotRequired[float]


@with_config(RECORD)
class Specification(TypedDict):
    """What serving needs to know of the feature specification."""

    item_id: Name
    context: list[Name]


@with_config(RECORD)
class Task(TypedDict):
    """A task of a model that has several: which outputs are its own, and whether the probability is one."""

    name: Name
    given: NotRequired[Name]
    logit: NotRequired[Name]
    probability: Name
    calibrated: bool
    ranks: NotRequired[bool]
    calibration: NotRequired[calibrations.Map]


_Shapes = dict[Name, list[Count | None]]


@with_config(RECORD)
class Description(TypedDict):
    """What `features.json` holds; the lists of inputs and files may be long."""

    model: Name
    format: str
    format_version: NotRequired[Annotated[int, Field(ge=1)]]
    calibrated: NotRequired[bool]
    fitted_on: NotRequired[Literal["train", "all"]]
    calibration: NotRequired[calibrations.Map]
    inputs: Annotated[list[Input], FailFast()]
    outputs: dict[Name, _Shapes]
    specification: Specification
    tasks: NotRequired[list[Task]]
    scorer: Annotated[str, Field(max_length=100)] | None
    files: dict[InnerPath, Count | FileEntry]
    sha256: NotRequired[Digest]


def to_text(described: Mapping[str, Any]) -> str:
    """The text of a `features.json`, with its own SHA-256: of itself, with zeros where that stands."""
    text = json.dumps({**described, "sha256": _NO_DIGEST}, indent=2) + "\n"
    return text.replace(_NO_DIGEST, hashlib.sha256(text.encode()).hexdigest())


def read(folder: Path) -> dict[str, Any]:
    """The description of an export, checked; it is of the type :class:`Description`.

    Raises:
        ArtefactError: it is missing, truncated or damaged.
    """
    found, text = read_as(folder, Description)
    try:
        check_digest(found, text)
        if (version := found.get("format_version", 1)) > FORMAT_VERSION:
            raise InputError(
                f"format version {version}, and this prerank reads up to {FORMAT_VERSION}: install a newer"
            )
        if "calibration" in found:
            calibrations.check(found["calibration"])
        for task in found.get("tasks", []):
            if "calibration" in task:
                calibrations.check(task["calibration"])
        _check_inputs(found)
        _check_files(found)
    except InputError as error:
        raise ArtefactError(f"damaged: {error}", path=folder / FEATURES) from error
    return found


def read_as(folder: Path, kind: type) -> tuple[dict[str, Any], str]:
    """A part of the description as a TypedDict, and the text of the whole, whose SHA-256 is not yet checked.

    Raises:
        ArtefactError: it is missing, truncated or damaged.
    """
    path = folder / FEATURES
    try:
        text = reading.read_text(path, reading.MOST_BYTES_OF_FIELDS)
        return cast(dict[str, Any], reading.check(text, kind)), text
    except OSError as error:
        raise ArtefactError(f"not an exported model: {error.strerror or error}", path=path) from error
    except InputError as error:
        raise ArtefactError(str(error), path=path) from error


def check_digest(found: Mapping[str, Any], text: str) -> None:
    """See that a description is as it was written; an older one has no SHA-256.

    Raises:
        InputError: it is not.
    """
    digest = found.get("sha256")
    if digest is None:
        if any(isinstance(entry, dict) for entry in found.get("files", {}).values()):
            raise InputError("sha256: Field required")
    elif hashlib.sha256(text.replace(digest, _NO_DIGEST).encode()).hexdigest() != digest:
        raise InputError("its SHA-256 is not that of its sha256")


def _check_inputs(found: dict[str, Any]) -> None:
    """See that each input has what its kind needs, and that no two have one name."""
    items = {field["name"] for field in found["inputs"] if field["side"] == "item"}
    if len({field["name"] for field in found["inputs"]}) < len(found["inputs"]):
        raise InputError("inputs: two have the same name")
    if len({field.get("argument", field["name"]) for field in found["inputs"]}) < len(found["inputs"]):
        raise InputError("inputs: two have the same argument")
    if (item_id := found["specification"]["item_id"]) not in items:
        raise InputError(f"specification.item_id: names no input of the item. Received: {item_id!r}")
    for field in found["inputs"]:
        where = f"inputs, {field['name']}"
        if (field["kind"] == "dense") != (field["dtype"] == "float32"):
            raise InputError(f"{where}: {field['dtype']} does not fit {field['kind']}")
        default, dense = field.get("default"), field["kind"] == "dense"
        if default is not None and (field["kind"] == "sparse" or dense == isinstance(default, list)):
            raise InputError(f"{where}: a default that does not fit {field['kind']}. Received: {default!r}")
        if not dense and type(field["missing"]) is not _MISSING[field["dtype"]]:
            raise InputError(f"{where}: missing is no {field['dtype']}. Received: {field['missing']!r}")
        if not dense and not {"vocabulary", "vocabulary_size"} <= set(field):
            raise InputError(f"{where}: no vocabulary")


def _check_files(found: dict[str, Any]) -> None:
    """See that towers come together, and that every file that scoring reads is listed."""
    if any(isinstance(entry, dict) != ("sha256" in found) for entry in found["files"].values()):
        raise InputError("files: some have a SHA-256, and some have none")
    towers = {"user_tower", "item_tower", "score"}
    if towers & set(found["outputs"]) not in (set(), towers):
        raise InputError(f"outputs: expected all of {', '.join(sorted(towers))}, or none")
    needed = [name.format(signature) for name in MODEL_FILES.get(found["format"], ()) for signature in found["outputs"]]
    if found["scorer"] is not None:
        needed.append(SCORER)
    if lacking := sorted(set(needed) - set(found["files"])):
        raise InputError(f"files: {lacking[0]} is not listed")
