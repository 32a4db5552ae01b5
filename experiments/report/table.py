"""A table as data, and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what it shows, Markdown with code and bold only.
        value: what it is sorted by; None: as text if `text` is no dash, and else last.
    """

    text: str
    value: float | None = None


DASH = Cell("–")


@dataclass(frozen=True)
class Table:
    """A table with a title.

    Attributes:
        title: its heading.
        header: names of the columns.
        rows: cells, as many as columns.
        notes: paragraphs below it.
        command: the command that gives the runs it is of, or empty.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())
    command: str = ""

    def markdown(self) -> str:
        """The rows as a Markdown table."""
        lines = [list(self.header), ["---"] * len(self.header), *([cell.text for cell in row] for row in self.rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(text: str) -> Cell:
    """A name."""
    return Cell(f"`{text}`")
