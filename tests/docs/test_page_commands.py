"""The commands of every page run as they stand there, on samples, and print what the page shows."""

import contextlib
import re
from pathlib import Path

import pytest
from documented import ROOT, blocks, run, unlike, why_not

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_ELSEWHERE = {"production.md", "README.md"}
"""Run by tests/test_production.py, with a server between the commands, and by test_readme_runs.py."""
_SAMPLES = {
    "ml-1m": ("movielens", 8_000),
    "data/ml-1m": ("movielens", 8_000),
    "data/ml-1m-generated-sample": ("movielens", 8_000),
    "taobao": ("taobao", 20_000),
}
"""Where small samples are put before a page runs."""


def _runs(page):
    return [block for block in blocks(page.read_text("utf-8")) if block.language == "sh" and not block.not_run]


def test_the_order_and_what_varies_in_an_output():
    assert unlike("a\nb\n", "a\nb\n") == ""
    assert unlike("a\n", "a\nb\n") == "b"
    assert unlike("a\n...\n", "a\nb\n") == ""
    assert unlike("a\n...\nc\n", "a\nb\nc\n") == ""
    assert unlike("...\nc\nb\n", "a\nb\nc\n") == "b"
    assert unlike("rows 12  in 3.4 s\n", "rows 13 in 3.5 s\n") == "rows 12 in 3.4 s"
    assert unlike("rows 12  in 3.4 s\n", "rows 13 in 3.5 s\n", masked=True) == ""
    assert unlike("rows 12 in … s\n", "rows 12 in 3.5 s\n") == ""
    assert unlike("rows 12 in … s\n", "rows 13 in 3.5 s\n") == "rows 12 in … s"


def test_a_page_whose_commands_print_what_it_shows_passes_and_any_other_fails(tmp_path):
    page = "\n".join(
        [
            "```sh", "pip install x && python -c 'print(1, 2)'", "```", "",
            "<!-- output of: python -c 'print(1, 2)' -->", "```text", "1 {}", "```", "",
            "<!-- not run: it fails -->", "```sh", "python -c 'raise SystemExit(3)'", "```", "",
        ]
    )  # fmt: skip
    for name, shown in (("right", "2"), ("wrong", "3")):
        (tmp_path / name).mkdir()
        if shown == "2":
            ran = run(page.format(shown), tmp_path / name)
            assert [one.words[0] for one in ran] == ["pip", "python"]
            assert why_not(ran[0].words)
        else:
            with pytest.raises(AssertionError, match="line 6: not printed: '1 3'"):
                run(page.format(shown), tmp_path / name)
    (tmp_path / "failing").mkdir()
    with pytest.raises(AssertionError, match="line 1: exit code 3"):
        run("```sh\npython -c 'raise SystemExit(3)'\n```\n", tmp_path / "failing")


def test_every_block_that_no_test_runs_says_why():
    said = [block.not_run for page in PAGES for block in blocks(page.read_text("utf-8")) if block.not_run]
    assert all(len(why.split()) > 1 for why in said)


def test_every_output_is_of_a_command_that_the_page_runs():
    for page in PAGES:
        text = page.read_text("utf-8")
        commands = "\n".join(block.text for block in _runs(page)).replace("\\\n", " ")
        for block in blocks(text):
            if block.output_of and page.name not in _ELSEWHERE:
                assert " ".join(block.output_of.split()) in " ".join(commands.split()), f"{page.name}:{block.line}"


@pytest.mark.long
@pytest.mark.parametrize(
    "page", [page for page in PAGES if _runs(page) and page.name not in _ELSEWHERE], ids=lambda page: page.name
)
def test_the_commands_of_a_page_run_and_print_what_it_shows(page, tmp_path):
    if page.name == "spark.md":
        pytest.importorskip("pyspark", reason="requirements-spark.txt is not installed")
    _prepare(page, tmp_path)
    ran = run(page.read_text("utf-8"), tmp_path)
    assert any(not why_not(one.words) for one in ran)


def _prepare(page: Path, folder: Path) -> None:
    from preprocess.generate import generator

    text = page.read_text("utf-8")
    for place, (name, rows) in _SAMPLES.items():
        if place.startswith("data/") or re.search(rf"--data_path {place}\b", text):
            generator(name).generate(folder / place, rows=rows, seed=0)
    if page.name == "own-data.md":  # the page's Python writes the data, and its YAML is the schema
        code, schema = (next(block for block in blocks(text) if block.language == name) for name in ("python", "yaml"))
        with contextlib.chdir(folder):
            exec(code.text, {})
        (folder / "shop.yaml").write_text(schema.text, encoding="utf-8")
