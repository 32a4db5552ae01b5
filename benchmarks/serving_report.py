"""The efficiency table as Markdown, CSV and a figure, the published numbers beside."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from prerank.csv_rows import read_rows
from prerank.folders import write_bytes, write_text  # noqa: E402
from prerank.numbers import number

_PUBLISHED = Path(__file__).with_name("published_serving.csv")
_BASE = "dssm"
_PERCENTILES = (50, 95, 99)
_RUNTIMES = {"saved_model": "TensorFlow", "onnx": "ONNX Runtime"}
Result = dict[str, Any]


def milliseconds(values: np.ndarray) -> str:
    """Median, 95th and 99th percentile of seconds, in ms."""
    return " / ".join(f"{np.percentile(values, p) * 1e3:.2f}" for p in _PERCENTILES)


def write(results: list[Result], counts: list[int], out: Path) -> None:
    """Write OUT.md, OUT.csv and OUT.png.

    Args:
        results: of each model: `latency`, seconds by (part, items); `success`, shares by requests a second;
            `bytes_per_item`, `index_seconds`, `training_seconds`, `examples_per_second`, `model` and `format`.
        counts: the numbers of items.
        out: place and name, less the suffix.
    """
    text = "\n\n".join([_latency(results, counts), _relative(results, max(counts)), _load(results)])
    write_text(out.with_name(out.name + ".md"), text + "\n")
    _write_csv(results, out.with_name(out.name + ".csv"))
    _draw(results, counts, out.with_name(out.name + ".png"))
    print(text)


def _latency(results: list[Result], counts: list[int]) -> str:
    header = ["model", "runtime", "items", "user tower", "scorer", "request, top 100", "request, all candidates"]
    rows = []
    for result in results:
        for count in sorted(counts):
            found = [result["latency"].get((p, count)) for p in ("user tower", "scorer", "top 100", "candidates")]
            cells = ["–" if values is None else milliseconds(values) for values in found]
            rows.append([f"`{result['model']}`", _RUNTIMES[result["format"]], f"{count:,}", *cells])
    return "Median / 95th / 99th percentile in ms, one core:\n\n" + _table(header, rows)


def _relative(results: list[Result], count: int) -> str:
    header = [
        "model", "runtime", "training, s", "training, examples/s", "request, ms", "bytes an item", "index, s",
        "training, relative", "latency, relative", "storage, relative", "published, all three",
    ]  # fmt: skip
    bases = {result["format"]: result for result in results if result["model"] == _BASE}
    rows = []
    for result in results:
        request = _median(result, count)
        base = bases.get(result["format"], {})
        rows.append([
            f"`{result['model']}`",
            _RUNTIMES[result["format"]],
            _number(result["training_seconds"], 0),
            _number(result["examples_per_second"], 0),
            _number(request, 2),
            str(result["bytes_per_item"]),
            _number(result["index_seconds"], 2),
            _ratio(result["training_seconds"], base.get("training_seconds")),
            _ratio(request, _median(base, count) if base else None),
            _ratio(result["bytes_per_item"], base.get("bytes_per_item")),
            _published(result["model"]),
        ])  # fmt: skip
    return f"Relative to the two-tower model (`{_BASE}`) on the same runtime, {count:,} items:\n\n" + _table(
        header, rows
    )


def _load(results: list[Result]) -> str:
    rates = sorted({rate for result in results for rate in result["success"]})
    rows = [
        [f"`{r['model']}`", _RUNTIMES[r["format"]], *(f"{r['success'][rate]:.1%}" for rate in rates)] for r in results
    ]
    return "Requests answered within 10 ms, one worker, at a rate a second of:\n\n" + _table(
        ["model", "runtime", *map(str, rates)], rows
    )


def _median(result: Result, count: int) -> float:
    return float(np.median(result["latency"]["top 100", count]) * 1e3)


def _published(model: str) -> str:
    rows = read_rows(_PUBLISHED)
    base = {row["paper"]: row for row in rows if row["model"] == _BASE}
    found = []
    for row in rows:
        if row["model"] == model:
            of = base[row["paper"]]
            ratios = [
                _ratio(number(row[name]), number(of[name])) if row[name] else "–"
                for name in ("training_seconds", "latency_ms", "storage")
            ]
            found.append(f"{', '.join(ratios)} ({row['paper']}: {row['latency_ms']} ms)")
    return "; ".join(found) or "–"


def _ratio(value: float | None, base: float | None) -> str:
    return "–" if value is None or not base else f"{value / base:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _write_csv(results: list[Result], path: Path) -> None:
    columns = ["dataset", "raw_data", "model", "format", "part", "items", *(f"p{p}_ms" for p in _PERCENTILES)]
    single = ["bytes_per_item", "index_seconds", "training_seconds", "examples_per_second"]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, "rate", "within_10_ms", *single])
    for result in results:
        for (part, count), values in result["latency"].items():
            found = [f"{np.percentile(values, p) * 1e3:.4f}" for p in _PERCENTILES]
            single_values = [result[name] for name in single]
            writer.writerow([*_names(result), part, count, *found, "", "", *single_values])
        for rate, share in result["success"].items():
            load = ["load", "", "", "", "", rate, f"{share:.4f}", *[""] * len(single)]
            writer.writerow([*_names(result), *load])
    write_text(path, text.getvalue())


def _names(result: Result) -> list[str]:
    return [result["dataset"], result["raw_data"], result["model"], result["format"]]


def _draw(results: list[Result], counts: list[int], path: Path) -> None:
    from matplotlib.figure import Figure  # not before something is drawn

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    latency, load = figure.subplots(1, 2)
    several = len({result["format"] for result in results}) > 1
    for result in results:
        name = f"{result['model']}, {_RUNTIMES[result['format']]}" if several else result["model"]
        sizes = sorted(counts)
        style = "-o" if result["bytes_per_item"] else "--s"
        latency.plot(sizes, [_median(result, count) for count in sizes], style, label=name, markersize=4)
        load.plot(list(result["success"]), list(result["success"].values()), style, label=name, markersize=4)
    latency.set(xscale="log", yscale="log", xlabel="items", ylabel="median request, top 100 (ms)")
    load.set(xscale="log", xlabel="offered requests/s", ylabel="share answered within 10 ms", ylim=(-0.02, 1.02))
    for axes in (latency, load):
        axes.grid(alpha=0.3, which="both")
    load.legend(fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_bytes(path, picture.getvalue())
