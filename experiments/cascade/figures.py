"""The figures of judged pre-rankers."""

from pathlib import Path

from matplotlib.axes import Axes

from experiments.cascade.entries import Board
from experiments.report.figures import draw

_LABELS = {"true_positives@50": "true expected positives of the final 50", "recall@50": "recall@50 of later positives"}


def against_quota(path: Path, board: Board) -> None:
    """The value of the final list by quota."""

    def content(axes: Axes) -> None:
        for entry in board.entries:
            found = [board.estimate(entry, board.main, quota) for quota in board.quotas]
            means = [one.mean for one in found]
            if entry.end:
                axes.plot(board.quotas, means, "--", linewidth=1, label=entry.name)
            else:
                spread = [[one.mean - one.low for one in found], [one.high - one.mean for one in found]]
                axes.errorbar(board.quotas, means, yerr=spread, fmt="-o", markersize=4, capsize=2, label=entry.name)
        axes.set(xscale="log", xlabel="quota of the pre-ranker", ylabel=_LABELS[board.main])
        axes.set_xticks(board.quotas, [str(quota) for quota in board.quotas])
        axes.minorticks_off()
        axes.legend(fontsize=7)

    draw(path, content)


def against_milliseconds(path: Path, board: Board) -> bool:
    """The value of the final list by the time of pre-ranking and ranking; whether any time was measured."""
    lines = []
    for entry in board.entries:
        quotas = entry.records[0].fields["quotas"]
        measured = [entry.milliseconds(quota) for quota in quotas]
        times = [one for one in measured if one is not None]
        if len(times) == len(quotas):
            lines.append((entry, times, [board.estimate(entry, board.main, quota).mean for quota in quotas]))
    if not lines:
        return False

    def content(axes: Axes) -> None:
        for entry, times, means in lines:
            axes.plot(times, means, "--x" if entry.end else "-o", markersize=4, linewidth=1, label=entry.name)
        axes.set(xscale="log", xlabel="pre-ranking and ranking, ms a request", ylabel=_LABELS[board.main])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.legend(fontsize=7)

    draw(path, content)
    return True
