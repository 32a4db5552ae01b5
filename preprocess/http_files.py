"""Fetches large files over HTTP, and goes on where an earlier attempt broke off."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import requests
from pydantic import Field, with_config
from tqdm import tqdm
from typing_extensions import TypedDict

from preprocess.raw import RawFile
from prerank import folders
from prerank.errors import InputError
from prerank.reading import RECORD, check, read_text

_TIMEOUT = 30
_TRIES = 3
_CHUNK = 1 << 14
_LENGTH = re.compile("[0-9]{1,18}")


@with_config(RECORD)
class Source(TypedDict):
    """Where a part came from.

    Attributes:
        url: its address.
        validator: what tells whether the server still has the same file; empty if nothing does.
    """

    url: str
    validator: Annotated[str, Field(pattern=r"^[ -~]*$", max_length=1000)]


def fetch(urls: Sequence[str], target: Path, wait: float = 1.0) -> None:
    """Fetch one file if it is not there, with a progress bar on standard error; it appears whole or not at all.

    What has come so far is kept beside it, as `.part-<name>`, and a later call asks for the rest only, if the server
    still has the same file and sends parts (`Range`, `If-Range`); otherwise it starts anew. A connection that breaks
    is tried again a few times, then the next address. A file called `.gz` is read once as a check.

    Args:
        urls: addresses of the same file, tried in order.
        target: the file to make; its folder exists.
        wait: seconds before a connection that broke is tried again.

    Raises:
        InputError: no address gives the file, what came is a damaged gzip file, or the disk is full or not writable.
    """
    part = target.with_name(f".part-{target.name}")
    try:
        with folders.holding(target, tqdm.write):
            if not target.exists():
                _fetch_from_any(urls, part, target, wait)
            _source(part).unlink(missing_ok=True)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error}): free or name another place"
        raise InputError(what, path=target) from error


def _fetch_from_any(urls: Sequence[str], part: Path, target: Path, wait: float) -> None:
    failures = []
    for url in urls:
        try:
            _fetch_from(url, part, wait)
            break
        except requests.RequestException as error:
            failures.append(f"{url}: {reason(error)}")
    else:
        raise InputError(
            f"download failed ({'; '.join(failures)}): the same command resumes; "
            f"or put {target.name} into {target.parent} by hand"
        )
    _check(part, url)
    folders.sync(part)
    os.replace(part, target)


def _fetch_from(url: str, part: Path, wait: float) -> None:
    """Fetch or complete `part`, trying again a few times where the connection breaks."""
    for left in reversed(range(_TRIES)):
        try:
            _attempt(url, part)
            return
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
            if not left:
                raise
            time.sleep(wait)


def _attempt(url: str, part: Path) -> None:
    have, validator = _so_far(url, part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            raise requests.ConnectionError("the server has another file by now")
        answer.raise_for_status()
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if _LENGTH.fullmatch(length) else None
        # A weak ETag says nothing about bytes.
        tag = answer.headers.get("ETag", "")
        validator = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        if not have:
            part.unlink(missing_ok=True)  # before a new validator is kept, which would be taken for that of old bytes
        folders.write_text(_source(part), json.dumps({"url": url, "validator": validator}))
        name = part.name.removeprefix(".part-")
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(initial=have, total=total, desc=name, unit="B", unit_scale=True, ncols=79, leave=False) as bar,
        ):
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise requests.ConnectionError(f"{part.stat().st_size} of {total} bytes came")


def _source(part: Path) -> Path:
    """Where a part came from, and what tells whether the server still has the same file."""
    return part.with_name(f"{part.name}.json")


def _so_far(url: str, part: Path) -> tuple[int, str]:
    """Bytes that can be kept, and the validator that they came with."""
    try:
        source = check(read_text(_source(part)), Source)
        size = part.stat().st_size
    except (FileNotFoundError, InputError):  # a damaged one is as good as none
        return 0, ""
    return (size, source["validator"]) if source["url"] == url and source["validator"] else (0, "")


def _check(part: Path, url: str) -> None:
    try:
        RawFile.inspect(part)
    except InputError as error:
        part.unlink()
        raise InputError(f"what {url} sent is not the file expected ({error}): try again") from error


def reason(error: requests.RequestException) -> str:
    """The innermost cause, without the object addresses of urllib3's messages."""
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    cause: object = error
    while isinstance(cause, Exception) and cause.args and isinstance(cause.args[-1], Exception):
        cause = cause.args[-1]
    if isinstance(inner := getattr(cause, "reason", None), Exception):
        cause = inner
    return str(cause).split(">: ")[-1] or type(cause).__name__
