"""Hooks of MkDocs: README.md is the site's first page, and names in docstrings are shown as code."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_ROLE = re.compile(r":(?:class|func|data|meth|mod|attr):<code>~?(?:[\w.]+\.)?(\w+)</code>")
_OUTSIDE = {
    "examples/README.md": "examples.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the site by the files outside docs/ that they show."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README.md and the page of examples."""
    readme = (ROOT / "README.md").read_text("utf-8").replace("](docs/", "](")
    for path, page in _OUTSIDE.items():
        readme = readme.replace(f"]({path})", f"]({page})")
    for name in ("LICENSE", "CITATION.cff"):
        readme = readme.replace(f"[{name}]({name})", f"`{name}`")
    files.append(File.generated(config, "index.md", content=readme))
    examples = (ROOT / "examples" / "README.md").read_text("utf-8")
    examples = re.sub(r"\[(`\w+\.ipynb`)\]\([^)]*\)", r"\1", examples)  # the site leaves notebooks out
    files.append(File.generated(config, "examples.md", content=examples))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show Sphinx's roles in docstrings as code."""
    return _ROLE.sub(r"<code>\1</code>", html)
