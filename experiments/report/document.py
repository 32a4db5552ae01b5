"""A report as sections of text, figures and tables, and as Markdown or one HTML page."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from experiments.report.table import Table


@dataclass(frozen=True)
class Part:
    """A piece of a section; what is empty is left out.

    Attributes:
        heading: its heading.
        text: paragraphs.
        commands: shell commands that give what it shows.
        figure: a PNG.
        caption: of the figure.
        table: a table.
    """

    heading: str = ""
    text: Sequence[str] = ()
    commands: Sequence[str] = ()
    figure: Path | None = None
    caption: str = ""
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A section: its title and its parts."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: of the page.
        introduction: paragraphs.
        sections: what follows.
    """

    title: str
    introduction: Sequence[str]
    sections: Sequence[Section]

    def markdown(self, folder: Path) -> str:
        """As Markdown; figures are linked from `folder`."""
        blocks = [f"# {self.title}", *self.introduction]
        for section in self.sections:
            blocks.append(f"## {section.title}")
            for part in section.parts:
                blocks += _markdown(part, folder)
        return "\n\n".join(blocks) + "\n"

    def html(self) -> str:
        """As a page that needs no other file."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
        )
        environment.filters |= {"inline": _inline, "base64": _base64}
        template = environment.get_template("page.html.j2")
        return template.render(title=self.title, introduction=self.introduction, sections=self.sections) + "\n"


def _markdown(part: Part, folder: Path) -> list[str]:
    blocks = [f"### {part.heading}"] if part.heading else []
    blocks += part.text
    if part.commands:
        blocks.append("\n".join(["```sh", *part.commands, "```"]))
    if part.figure:
        blocks.append(f"![{part.caption}]({part.figure.relative_to(folder).as_posix()})")
    if part.table:
        blocks += [f"**{part.table.title}**", part.table.markdown(), *part.table.notes]
    return blocks


def _inline(text: str) -> Markup:
    """Markdown's `code` and **bold** as HTML."""
    escaped = str(escape(text))
    escaped = re.sub(r"`([^`]*)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"\*\*([^*]*)\*\*", r"<b>\1</b>", escaped))


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
