"""The report's page in a browser without a window."""

import shutil

import pytest
from run_folders import write_run

from experiments.report.build import build
from experiments.report.entries import boards
from experiments.runs import read_all

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page(tmp_path):
    if _BROWSER is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="requirements-dev.txt is not installed")
    for seed, aucs in enumerate(((0.91, 0.9), (0.905, 0.9))):
        for model, auc in zip(("hit", "dssm"), aucs, strict=True):
            write_run(tmp_path / "runs", model, seed, auc)
    write_run(tmp_path / "runs", "fit", 0, 0, status="failed")
    write_run(tmp_path / "runs", "hit", 0, 0.93, protocol="reference")
    build(boards(read_all(tmp_path / "runs")), tmp_path / "out")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"])
        opened = browser.new_page()
        asked, problems = [], []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda message: problems.append(message.text))
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.goto((tmp_path / "out" / "report.html").as_uri())
        yield opened, asked, problems
        browser.close()


def _column(page, number):
    return page.locator("table").first.locator(f"tbody tr td:nth-child({number})").all_inner_texts()


def test_tables_sort_by_number_and_by_name(page):
    opened, asked, problems = page
    assert _column(opened, 1) == ["hit", "dssm", "fit"]
    head = opened.locator("table").first.locator("th")
    head.nth(3).click()  # AUC, the best first
    assert head.nth(3).get_attribute("aria-sort") == "descending"
    assert _column(opened, 1) == ["hit", "dssm", "fit"]
    head.nth(3).click()  # the other way round, what has no value last all the same
    assert _column(opened, 1) == ["dssm", "hit", "fit"]
    head.nth(0).click()
    assert _column(opened, 1) == ["hit", "fit", "dssm"]
    assert head.nth(3).get_attribute("aria-sort") is None
    assert problems == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_figures_are_in_the_page(page):
    opened, *_ = page
    widths = opened.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert widths
    assert min(widths) > 100
