"""Which data README.md and the pages in docs/ show, where a data set has runs on several."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from experiments.report.data import unique
from experiments.report.entries import Board
from prerank.errors import InputError

RECORD = "pages.csv"
"""Beside the published results: a line for each setting of the data that the pages show."""
_COLUMNS = ("dataset", "setting", "data", "raw_data")


def chosen(boards: Sequence[Board], before: Collection[str] = (), asked: str | None = None) -> list[Board]:
    """The settings of a data set that the pages show: all of them, if its runs are on one data only.

    Args:
        boards: every setting of the data set.
        before: fingerprints of the data that the pages showed when they were last published.
        asked: the raw data that the user wants them to show, or the fingerprint of a setting of these.

    Raises:
        InputError: `asked` names none of the data; or there are several, and neither `asked` nor `before` tells.
    """
    series: dict[str, list[Board]] = {}
    for board in boards:
        series.setdefault(board.data, []).append(board)
    if asked is None and len(series) <= 1:
        return list(boards)
    wanted = before if asked is None else [asked]
    picked = [board for mine in series.values() if not _names(mine).isdisjoint(wanted) for board in mine]
    if picked and unique(board.setting for board in picked):
        return picked
    dataset = boards[0].setting.dataset
    known = "; ".join(_described(mine) for mine in series.values())
    raise InputError(f"--data {dataset}=DATA has to say which data README.md and docs/ show, one of: {known}")


def _names(boards: Iterable[Board]) -> set[str]:
    """What data go by: the hash of the raw files, and the fingerprints of what was prepared from them."""
    return {name for board in boards for name in (board.raw_data, board.setting.fingerprint) if name}


def _described(boards: Sequence[Board]) -> str:
    rows = sum(boards[0].rows().values())
    name = boards[0].raw_data or boards[0].setting.fingerprint
    return f"{name} ({boards[0].setting.title}: {rows:,} rows)" if rows else name


def read_record(results: Path) -> set[str]:
    """Fingerprints of the data that the pages show, from the record in a folder of results; empty without one.

    Raises:
        InputError: it is damaged.
    """
    return {row["data"] for row in read_rows(results / RECORD, _COLUMNS)}


def record(boards: Iterable[Board]) -> str:
    """The record of the settings that the pages show."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for board in boards:
        setting = board.setting
        writer.writerow([setting.dataset, setting.title, setting.fingerprint, board.raw_data])
    return text.getvalue()


def read_rows(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """The rows of a csv file that must have some columns; none if there is no such file.

    Raises:
        InputError: it cannot be read, or a column is missing.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            found = set(reader.fieldnames or ())
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error
    if missing := [name for name in columns if name not in found]:
        raise InputError(f"no column {', '.join(missing)}", path=path)
    return rows
