"""Names beside the points of a figure, placed so that none covers another."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_SIZE = 7
_STEPS = 14
_BESIDE = 8
"""Points up or down within which a name is next to its point."""
_MARGIN = 3.0
"""Half the side of a marker, in pixels, that names keep clear of."""


def label(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write each name at the nearest free place beside its point, with a line to it if that is not next to it.

    The axes need their final limits.

    Args:
        axes: where the points are.
        points: name, x and y of each.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles the layout
    inside = axes.get_window_extent()
    markers = [_around(*axes.transData.transform((x, y))) for _, x, y in points]
    taken: list[Bbox] = []
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        for offset in _offsets():
            text = _write(axes, name, (x, y), offset)
            box = text.get_window_extent()
            free = all(inside.contains(*corner) for corner in box.corners())
            if free and not any(box.overlaps(other) for other in (*taken, *markers)):
                taken.append(box)
                if abs(offset[1]) > _BESIDE:
                    _write(axes, "", (x, y), offset, arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.5})
                break
            text.remove()


def _write(axes: Axes, name: str, point: tuple[float, float], offset: tuple[int, int], **kwargs) -> Annotation:
    side = "left" if offset[0] > 0 else "right"
    return axes.annotate(
        name, point, xytext=offset, textcoords="offset points", fontsize=_SIZE, ha=side, va="center", **kwargs
    )


def _offsets() -> Iterator[tuple[int, int]]:
    """Places beside a point in points, the nearest first: right and left of it, in steps up and down."""
    for step in range(_STEPS):
        for dy in sorted({step * 5, -step * 5}, reverse=True):
            for dx in (6, -6):
                yield dx + (dx // 6) * min(step, 3) * 3, dy


def _around(x: float, y: float) -> Bbox:
    return Bbox.from_extents(x - _MARGIN, y - _MARGIN, x + _MARGIN, y + _MARGIN)
