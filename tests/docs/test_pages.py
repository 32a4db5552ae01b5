"""What the pages promise of themselves: README's length, links and anchors, the site's pages, and flags that parse."""

import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import train_amazon_whole_models
import train_movielens_whole_models
import train_taobao_whole_models
import train_whole_models
from experiments import command_line as benchmark
from prerank import command_line as prerank
from training.config import parse

ROOT = Path(__file__).parents[2]
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
]
_SCRIPTS = {
    f"{module.__name__}.py": module.SOURCE
    for module in (
        train_amazon_whole_models,
        train_movielens_whole_models,
        train_taobao_whole_models,
        train_whole_models,
    )
}
_OF_THE_SITE = {"index.md", "examples.md"}
"""Pages that website/hooks.py makes."""


def _name(path):
    return str(path.relative_to(ROOT))


def _text(path):
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def _anchors(path):
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", _text(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower() for heading in headings]
    return {re.sub(r"[ -]+", "-", heading) for heading in plain}


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_every_link_within_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", _text(page)):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{_name(page)}: {target}"
        if anchor:
            assert anchor in _anchors(found), f"{_name(page)}: {target}"


def test_the_site_has_every_page():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = set(re.findall(r"[\w/.-]+\.md", text[text.index("\nnav:") :]))
    pages = {str(path.relative_to(ROOT / "docs")) for path in WRITTEN if ROOT / "docs" in path.parents}
    assert listed - {"results/README.md", "results/serving_latency.md"} == pages | _OF_THE_SITE


def _commands(page):
    """The commands of a page's blocks `sh`, with their continued lines joined, and comments and variables resolved."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        values = {}
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" && | & |;(?= )", line.strip()):
                if assigned := re.fullmatch(r"(\w+)=(\S+|\"[^\"]*\")", part.strip()):
                    values[assigned[1]] = assigned[2].strip('"')
                    continue
                for name, value in sorted(values.items(), key=lambda pair: -len(pair[0])):
                    part = part.replace(f"${name}", value)
                words = shlex.split(re.sub(r"^(?:for .*; )?(?:do )?", "", part), comments=True)
                words = [word for word in words if word != "&"]
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                if words and not any("$" in word or word == "..." or word.endswith("*") for word in words):
                    yield words


COMMANDS = sorted({(_name(page), *words) for page in WRITTEN for words in _commands(page)})
_NEW_MODEL = "my_model"
"""The model that extending.md has the reader make."""


def _parse(words):
    if words[:1] == ["prerank"]:
        prerank.parser().parse_args(words[1:])
    elif words[:3] == ["python", "-m", "prerank"]:
        prerank.parser().parse_args(words[3:])
    elif words[:2] == ["python", "benchmark.py"]:
        benchmark.parser().parse_args(words[2:])
    elif words[0] == "python" and words[1] in _SCRIPTS:
        if _NEW_MODEL not in words:
            source = _SCRIPTS[words[1]]
            parse(words[2:], program="x", description="x", data_options=source.options, defaults=dict(source.defaults))
    elif words[0] == "python" and words[1] == "-m":
        assert (
            words[2] in ("pytest", "venv")
            or (ROOT / f"{words[2].replace('.', '/')}").with_suffix(".py").exists()
            or (ROOT / words[2].replace(".", "/") / "__main__.py").exists()
        ), words
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), words
    elif words[:3] == ["pip", "install", "-r"]:
        assert (ROOT / words[3]).is_file(), words
    else:
        return False
    return True


def test_there_are_commands():
    assert sum(_parse(list(words)) for _, *words in COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:80])
def test_the_flags_of_every_command_parse(command):
    _parse(list(command[1:]))


def test_citation_has_what_citing_takes():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    from prerank import __version__

    assert found["version"] == __version__
    assert {"title", "authors", "abstract", "keywords", "license", "references"} <= set(found)
