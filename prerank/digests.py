"""SHA-256 of an export's files, checked before anything is loaded."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prerank.errors import ArtefactError
from prerank.layout import BESIDE, FEATURES, UNDECISIVE
from prerank.reading import open_regular

_log = logging.getLogger(__name__)


def entry(path: Path) -> dict[str, Any]:
    """What `features.json` says of a file: its size in bytes and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def check(path: Path, expected: Mapping[str, Any] | int | None) -> bytes:
    """The SHA-256 of a file that is as it was exported.

    Args:
        path: the file.
        expected: what `features.json` says of it, its size only in an older export; None for the description itself.

    Raises:
        ArtefactError: it is missing, no regular file, truncated or damaged.
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            wanted = expected["bytes"] if isinstance(expected, Mapping) else expected
            if wanted is not None and size != wanted:
                raise ArtefactError(f"truncated: {wanted} bytes expected. Received: {size}", path=path)
            file.seek(0)
            found = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise ArtefactError(f"the exported model lacks this file: {error.strerror}", path=path) from error
    if isinstance(expected, Mapping) and found.hexdigest() != expected["sha256"]:
        raise ArtefactError("damaged: its SHA-256 is not that of the export", path=path)
    return found.digest()


def fingerprint(folder: Path, described: Mapping[str, Any]) -> str:
    """SHA-256 of the description and of the files that decide the scores, all of them checked.

    What lies beside them, such as the catalogue, makes no difference, and is checked when it is read.

    Args:
        folder: the export.
        described: what its `features.json` holds.

    Raises:
        ArtefactError: see :func:`check`.
    """
    files = described["files"]
    found = [check(folder / name, files[name]) for name in sorted(set(files) - BESIDE)]
    if "sha256" in described:
        decisive = {name: value for name, value in described.items() if name != "sha256"}
        decisive["files"] = {name: entry for name, entry in files.items() if name not in UNDECISIVE}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    _log.warning("%s: exported without SHA-256 of its files, so damage may go unnoticed: export it again", folder)
    return hashlib.sha256(b"".join([check(folder / FEATURES, None), *found])).hexdigest()
