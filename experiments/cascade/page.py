"""The page on all judged pre-rankers of a folder of results: Markdown, HTML, csv and figures."""

import csv
import hashlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiments.cascade import figures, tables
from experiments.cascade.entries import Board, boards
from experiments.cascade.records import FOLDER, Record, read_all
from experiments.report import files
from experiments.report.document import Document, Part, Section

README, HTML, CSV, FIGURES = "README.md", "report.html", "cascade.csv", "figures"
_STAGES = ("retrieval", "preranker", "ranker")


def show(records: Sequence[Record], out: Path) -> list[str]:
    """Write the page on every record in a folder of results, and give the tables of some of them as text.

    Raises:
        InputError: a record is damaged, or the folder cannot be written.
    """
    write(out)
    found = []
    for board in boards(records):
        found += [f"\n{_title(board)}"]
        for table in tables.all_of(board):
            found += ["", table.title, "", table.markdown(), *table.notes]
    return [*found, "", f"page: {out / FOLDER / HTML}"]


def write(out: Path) -> None:
    """Write `README.md`, `report.html`, `cascade.csv` and figures in `OUT/cascade` from the records there.

    Nothing is written if there is no record.

    Raises:
        InputError: a record is damaged, or the folder cannot be written.
    """
    records, place = read_all(out), out / FOLDER
    if not records:
        return
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch)
        (new / FIGURES).mkdir()
        document = Document("The cascade", _introduction(), [_section(board, new) for board in boards(records)])
        texts = {README: document.markdown(new), HTML: document.html(), CSV: csv_of(records)}
        made = files.contents(new) | {Path(name): text.encode() for name, text in texts.items()}
    outdated = [path.relative_to(place) for path in sorted((place / FIGURES).glob("*.png"))]
    files.replace(place, made, [path for path in outdated if path not in made])


def _introduction() -> list[str]:
    return [
        "Written by `python benchmark.py cascade` from the records in `records/`; no number here is typed. "
        "docs/cascade.md says what each metric means. Values are means over requests and seeds; in brackets the 95 % "
        "interval, bootstrap over users. Ends of the scale are without code font."
    ]


def _title(board: Board) -> str:
    found = board.fields
    return (
        f"{found['dataset']}, {found['setting']}, data {found['data_fingerprint']}, {found['part']} part: "
        f"{found['retrieval']['name']} -> {found['pool']} -> {found['ranker']['name']}"
    )


def _section(board: Board, folder: Path) -> Section:
    found = board.fields
    told = (
        f"{found['requests']:,} requests of {found['users']:,} users, {found['requests_with_positives']:,} with a "
        f"later positive; {found['items']:,} items, {found['unseen_items']:,} of them unseen. Retrieval by "
        f"`{found['retrieval']['name']}` passes on {found['pool']:,} items, `{found['ranker']['name']}` ranks."
    )
    title = _title(board)
    line = board.entries[0].records[0].line
    stem = f"{found['dataset']}-{hashlib.sha256(repr(line).encode()).hexdigest()[:8]}"
    quota, milliseconds = (folder / FIGURES / f"{stem}-{name}.png" for name in ("quota", "milliseconds"))
    figures.against_quota(quota, board)
    parts = [Part(text=[told]), Part(figure=quota, caption="Value of the final list by quota")]
    if figures.against_milliseconds(milliseconds, board):
        parts.append(Part(figure=milliseconds, caption="Value of the final list by milliseconds"))
    return Section(title, [*parts, *(Part(table=table) for table in tables.all_of(board))])


def csv_of(records: Sequence[Record]) -> str:
    """A line for each record and quota: the stages, their runs, the means of all metrics and the milliseconds."""
    rows = [row for record in records for row in record.fields["values"]]
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    described = ("dataset", "setting", "data_fingerprint", "part", "requests", "users", "pool")
    header = [*described, *(f"{stage}{what}" for stage in _STAGES for what in ("", "_run")), "quota", "pcoc"]
    header += ["preranking_ms", "user_state_ms", "ranking_ms"]
    header += [f"{name}{what}" for name in names for what in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for record in records:
        found, times = record.fields, record.fields["milliseconds"]
        first = [found[name] for name in described]
        first += [found[stage][what] for stage in _STAGES for what in ("name", "run")]
        for row, ranking in zip(found["values"], times["ranking"], strict=True):
            line = [*first, row["quota"], found["pcoc"], times["preranking"], times["user_state"], ranking]
            for name in names:
                estimate = row["metrics"].get(name, {})
                line += [estimate.get(key) for key in ("mean", "low", "high")]
            writer.writerow([_spelt(value) for value in line])
    return text.getvalue()


def _spelt(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
