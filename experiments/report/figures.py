"""The figures of the report, drawn from the same entries as the tables."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from experiments.report import published  # noqa: E402
from experiments.report.changes import head_entries, leak_boards  # noqa: E402
from experiments.report.entries import Board, Entry  # noqa: E402
from experiments.report.labels import label  # noqa: E402
from experiments.report.tables import Latencies  # noqa: E402
from prerank.folders import write_bytes  # noqa: E402

_COLOURS = {"strict": "tab:blue", "reference": "tab:orange"}
_MARKERS = {"HIT": "o", "FIT": "s"}


def draw(path: Path, content: Callable[[Axes], None], height: float = 5.0) -> None:
    """Draw one pair of axes to a PNG, the same bytes for the same content."""
    draw_several(path, 1, lambda panels: content(panels[0]), height)


def draw_several(path: Path, count: int, content: Callable[[Sequence[Axes]], None], height: float = 5.0) -> None:
    """Draw so many pairs of axes side by side, of one scale, to a PNG, the same bytes for the same content."""
    width = 7.5 if count == 1 else 4.5 * count
    figure, grid = plt.subplots(1, count, figsize=(width, height), layout="constrained", sharey=True, squeeze=False)
    try:
        content(list(grid[0]))
        for axes in grid[0]:
            axes.grid(alpha=0.3)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    finally:
        plt.close(figure)
    write_bytes(path, picture.getvalue())


def against_published(path: Path, boards: Sequence[Board]) -> bool:
    """Measured AUC over the published one; whether there was anything to draw."""
    points = [
        (row, entry, board.setting.protocol)
        for board in boards
        for entry in board.defaults
        if entry.finished
        for row in published.of(board.setting.dataset, entry.model)
    ]
    if not points:
        return False

    def content(axes: Axes) -> None:
        for row, entry, protocol in points:
            filled = _COLOURS[protocol] if protocol == "reference" else "none"
            axes.scatter(
                row.auc, entry.mean(), marker=_MARKERS[row.paper], facecolors=filled, edgecolors=_COLOURS[protocol]
            )
        low = min(min(row.auc, entry.mean()) for row, entry, _ in points)
        high = max(max(row.auc, entry.mean()) for row, entry, _ in points)
        axes.plot([low, high], [low, high], color="grey", linewidth=1, linestyle="--")
        for protocol in sorted({protocol for *_, protocol in points}):
            filled = _COLOURS[protocol] if protocol == "reference" else "none"
            axes.scatter([], [], facecolors=filled, edgecolors=_COLOURS[protocol], label=protocol)
        for paper in sorted({row.paper for row, *_ in points}):
            axes.scatter([], [], marker=_MARKERS[paper], color="grey", label=f"published by {paper}")
        axes.set(xlabel="published AUC", ylabel="measured AUC")
        axes.margins(x=0.1)
        axes.legend(fontsize=8)
        label(axes, [(e.model, row.auc, e.mean()) for row, e, protocol in points if protocol == "reference"])

    draw(path, content, height=6.0)
    return True


def protocols(path: Path, strict: Board | None, reference: Board | None) -> bool:
    """Each model's AUC under both protocols; whether there was anything to draw."""
    if strict is None or reference is None:
        return False
    pairs = [(entry, strict.entry(entry.model)) for entry in reference.defaults if entry.finished]
    both = [(entry, other) for entry, other in pairs if other and other.finished]
    if not both:
        return False
    both.sort(key=lambda pair: pair[1].mean())

    def content(axes: Axes) -> None:
        for place, (entry, other) in enumerate(both):
            axes.plot([other.mean(), entry.mean()], [place, place], color="lightgrey", zorder=1)
        for protocol, column in (("reference", 0), ("strict", 1)):
            values = [pair[column].mean() for pair in both]
            axes.errorbar(
                values, range(len(both)), xerr=[_deviation(pair[column]) for pair in both], fmt="o",
                color=_COLOURS[protocol], label=protocol, capsize=2,
            )  # fmt: skip
        rows = [(place, row.auc) for place, (entry, _) in enumerate(both) for row in _published(entry)]
        if rows:
            axes.scatter(
                [auc for _, auc in rows], [place for place, _ in rows], marker="x", color="black", label="published"
            )
        axes.set_yticks(range(len(both)), [entry.model for entry, _ in both])
        axes.set(xlabel="test AUC")
        axes.legend(fontsize=8)

    draw(path, content, height=1.5 + 0.25 * len(both))
    return True


def leaks(path: Path, boards: Sequence[Board]) -> bool:
    """What each leak adds to the AUC of each model; whether there was anything to draw."""
    found = leak_boards(boards)
    if found is None:
        return False
    whole, without = found
    models = [entry.model for entry in whole.defaults if any(board.entry(entry.model) for board in without.values())]

    def content(axes: Axes) -> None:
        for number, model in enumerate(models):
            worth = [_less(whole.entry(model), board.entry(model)) for board in without.values()]
            places = [place + 0.12 * (number - (len(models) - 1) / 2) for place in range(len(without))]
            axes.scatter(worth, places, label=model)
        axes.axvline(0, color="grey", linewidth=1)
        axes.set_yticks(range(len(without)), ["all leaks" if name == "all" else name for name in without])
        axes.invert_yaxis()
        axes.set(xlabel="test AUC under reference, less that without the leak")
        axes.legend(fontsize=8)

    draw(path, content, height=1.5 + 0.5 * len(without))
    return True


def heads(path: Path, boards: Sequence[Board]) -> bool:
    """HIT's AUC over the number of heads; whether there was anything to draw."""
    sweeps = [(board, found) for board in boards if len(found := head_entries(board)) > 1]
    if not sweeps:
        return False

    def content(axes: Axes) -> None:
        for board, found in sweeps:
            axes.errorbar(
                list(found), [entry.mean() for entry in found.values()],
                yerr=[_deviation(entry) for entry in found.values()], fmt="-o", capsize=3, label=board.setting.title,
            )  # fmt: skip
        known = published.heads(sweeps[0][0].setting.dataset, "hit")
        if known:
            axes.plot(list(known), list(known.values()), "--x", color="black", label="published (HIT)")
        axes.set(xlabel="heads a side", ylabel="test AUC of hit")
        axes.legend(fontsize=8)

    draw(path, content)
    return True


def latency(path: Path, board: Board | None, latencies: Latencies) -> bool:
    """AUC over latency; whether there was anything to draw."""
    known = [entry for entry in board.defaults if entry.finished and entry.model in latencies] if board else []
    if not known or board is None:
        return False

    def content(axes: Axes) -> None:
        for entry in known:
            face = "tab:blue" if entry.decoupled else "none"
            axes.scatter(latencies[entry.model], entry.mean(), facecolors=face, edgecolors="tab:blue")
        axes.scatter([], [], color="tab:blue", label="decoupled")
        axes.scatter([], [], facecolors="none", edgecolors="tab:blue", label="one tower")
        axes.set(
            xscale="log", xlabel="median request, best 100 of 10,000 items (ms)",
            ylabel=f"test AUC, {board.setting.title}",
        )  # fmt: skip
        axes.margins(x=0.12, y=0.12)
        axes.legend(fontsize=8, loc="lower right")
        label(axes, [(entry.model, latencies[entry.model], entry.mean()) for entry in known])

    draw(path, content)
    return True


def _deviation(entry: Entry) -> float:
    spread = entry.spread("auc")
    return spread.deviation or 0.0 if spread else 0.0


def _less(entry: Entry | None, other: Entry | None) -> float:
    """The mean AUC of an entry less another's; NaN, which is not drawn, where one has no finished run."""
    return entry.mean() - other.mean() if entry and other and entry.finished and other.finished else float("nan")


def _published(entry: Entry) -> list[published.Published]:
    return published.of(entry.setting.dataset, entry.model)
