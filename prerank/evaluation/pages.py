"""An evaluation as text and as one HTML page that needs no script and no network."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
    "td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}"
)
_SIDE = 300


def to_json(found: Any) -> str:
    """JSON, in which null stands for a number that does not exist."""
    return json.dumps(_plain(found), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


Table = tuple[str, list[str], list[list[str]]]


def tables(found: Mapping[str, Any]) -> list[Table]:
    """Title, header and cells of each table of an evaluation."""
    names = list(next(iter(found["slices"].values()), {})) or [
        "auc",
        "logloss",
        "gauc",
        "ece",
        "pcoc",
        "rows",
        "positives",
    ]
    slices = {"all rows": found["all"], **found["slices"]}
    first = [[title, *(_cell(values[name]) for name in names)] for title, values in slices.items()]
    fields = [
        [name, *(_cell(values[key]) for key in ("psi", "unseen", "missing"))]
        for name, values in found["fields"].items()
    ]
    bins = [[_cell(one["probability"]), _cell(one["positives"]), str(one["rows"])] for one in found["reliability"]]
    return [
        ("Slices", ["slice", *names], first),
        ("Reliability", ["mean probability", "share of positives", "rows"], bins),
        ("Inputs", ["input", "psi", "unseen", "missing"], fields),
    ]


def to_text(made: Sequence[Table]) -> str:
    """Tables in columns of equal width."""
    lines: list[str] = []
    for title, header, cells in made:
        widths = [max(len(row[place]) for row in [header, *cells]) for place in range(len(header))]
        lines += ["", title] if lines else [title]
        for row in [header, *cells]:
            first, *rest = (
                text.ljust(width) if not n else text.rjust(width)
                for n, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join([first, *rest]))
    return "\n".join(lines)


def to_html(found: Mapping[str, Any]) -> str:
    """A page of an evaluation."""
    title = html.escape(f"{found['model']} on {found['rows']}")
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
    ]
    if found["defaults"]:
        parts.append(f"<p>Not in the file, so defaults count: {html.escape(', '.join(found['defaults']))}</p>")
    if found["reference"]:
        parts.append(f"<p>PSI is against {html.escape(found['reference'])}.</p>")
    for name, header, cells in tables(found):
        parts.append(f"<h2>{name}</h2>" + (_diagram(found["reliability"]) if name == "Reliability" else ""))
        head = "".join(f"<th>{html.escape(text)}" for text in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(text)}" for text in row) for row in cells)
        parts.append(f"<table><tr>{head}{body}</table>")
    return "\n".join(parts) + "\n"


def _diagram(bins: Sequence[Mapping[str, float]]) -> str:
    """Share of positives over mean probability, beside the line on which both are equal."""
    largest = max([max(one["probability"], one["positives"]) for one in bins] + [1e-9])

    def place(one: Mapping[str, float]) -> str:
        return f"{one['probability'] / largest * _SIDE:.1f},{_SIDE - one['positives'] / largest * _SIDE:.1f}"

    points = " ".join(place(one) for one in bins)
    return (
        f'<svg width="{_SIDE}" height="{_SIDE}" role="img" aria-label="reliability diagram">'
        f'<line x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0" stroke="#bbb"/>'
        f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/></svg>'
    )
