"""Fetches the raw files of a data set from their official address."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from preprocess.http_files import fetch, reason
from prerank import folders
from prerank.errors import InputError

MOVIELENS_URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MOVIELENS_MD5 = "c4d9eecfca2ab87c1945afe126590906"
AMAZON_URLS = (
    "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles",
    "https://mcauleylab.ucsd.edu/public_datasets/data/amazon/categoryFiles",
)
"""Where the edition of 2014 lies: the official place and its authors' mirror."""
_FILES = ("users.dat", "movies.dat", "ratings.dat")
_TIMEOUT = 30


def download_movielens(target: Path, *, url: str = MOVIELENS_URL, md5: str = MOVIELENS_MD5) -> Path:
    """Fetch MovieLens-1M (6 MB) and unpack it into `target`; do nothing if its three files are already there.

    Download and unpacking happen in a folder beside `target`, which is then renamed: `target` appears whole or not at
    all. An interrupted download starts anew. A progress bar goes to standard error.

    Args:
        target: folder that will hold users.dat, movies.dat, ratings.dat and README; absent or empty.
        url: address of the official archive.
        md5: checksum of the archive, in hexadecimal.

    Returns:
        `target`.

    Raises:
        InputError: `target` holds something else, the server cannot be reached or breaks off, the checksum is wrong,
            the archive lacks a file, or the disk is full or not writable.
    """
    if _is_complete(target):
        return target
    by_hand = f"or unpack {url} into {target} by hand"
    try:
        with folders.holding(target, print):
            if _is_complete(target):
                return target  # by another process that was waited for
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                what = "holds something else than MovieLens-1M: name a new folder for the download"
                raise InputError(what, path=target)
            with folders.replacing(target) as whole:
                scratch = whole / "scratch"
                scratch.mkdir()
                for path in _unpack(_fetch(url, md5, scratch), scratch).iterdir():
                    path.rename(whole / path.name)
                shutil.rmtree(scratch)
    except requests.RequestException as error:
        raise InputError(
            f"download of {url} failed ({reason(error)}): check the network and try again, {by_hand}"
        ) from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{url} is no zip archive with {', '.join(_FILES)} ({error}): check the address") from error
    except OSError as error:
        if _is_complete(target):
            return target
        raise InputError(
            f"cannot be written ({error.strerror or error}): free or name another place", path=target
        ) from error
    return target


def download_amazon(target: Path, category: str, *, urls: Sequence[str] = AMAZON_URLS) -> Path:
    """Fetch the 5-core reviews and the products of one category into `target`; what is there already is kept.

    Each file appears whole or not at all; an interrupted download goes on where it broke off. A progress bar goes to
    standard error.

    Args:
        target: folder for the files, made if need be.
        category: as in the official names, e.g. "Electronics".
        urls: folders that hold the files, tried in order.

    Returns:
        `target`.

    Raises:
        InputError: no server can be reached, has the file or sends it undamaged, or the disk is full or not writable.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror or error}): free or name another place", path=target
        ) from error
    for name in (f"reviews_{category}_5.json.gz", f"meta_{category}.json.gz"):
        if not (target / name.removesuffix(".gz")).is_file():
            fetch([f"{url}/{name}" for url in urls], target / name)
    return target


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _FILES)


def _fetch(url: str, md5: str, folder: Path) -> Path:
    pooch.get_logger().setLevel(logging.WARNING)
    # The bar is ours, not pooch's, so that it is gone before an error is reported. A bar without a total has no
    # truth value, which pooch asks for; pooch then sets the total that the server states.
    with tqdm(total=1, desc=url.rsplit("/", 1)[-1], unit="B", unit_scale=True, ncols=79, leave=False) as bar:
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=_TIMEOUT)
        try:
            path = pooch.retrieve(url, known_hash=f"md5:{md5}", fname="archive.zip", path=folder, downloader=downloader)
        except requests.RequestException:
            raise
        except ValueError as error:
            raise InputError(
                f"what {url} sent has not the MD5 checksum {md5}, so it is damaged or not the official file: "
                "try again, or fetch it by hand"
            ) from error
    return Path(path)


def _unpack(archive: Path, folder: Path) -> Path:
    for path in pooch.Unzip(extract_dir="unpacked")(str(archive), "download", None):
        if _is_complete(Path(path).parent):
            return Path(path).parent
    raise zipfile.BadZipFile("a file is missing")
