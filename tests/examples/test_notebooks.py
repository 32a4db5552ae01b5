"""The notebooks in `examples/` keep the outputs of a whole run, and run again with the same ones but for numbers."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def _code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _texts(cell):
    """What a cell shows as text, without figures; numbers, hashes and the width of columns are left out.

    Of what is printed the last line counts: steps that are fast say nothing, and a training may stop earlier elsewhere.
    """
    for output in cell["outputs"]:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if "image/png" not in output.get("data", {}):
            masked = re.sub(r"[0-9a-f]{8,}|-?\d[\d,.]*", "N", "".join(text))
            lines = [" ".join(line.split()) for line in masked.splitlines()]
            yield lines[-1:] if output["output_type"] == "stream" else lines


def test_the_page_names_every_notebook():
    named = re.findall(r"\[`(\w+\.ipynb)`\]", (EXAMPLES / "README.md").read_text())
    assert sorted(named) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_one_run_and_name_no_folder_of_a_machine(path):
    cells = _code(json.loads(path.read_text()))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell["outputs"]) for cell in cells) > len(cells) / 2
    for cell in cells:
        assert all(output["output_type"] != "error" for output in cell["outputs"])
        assert not re.search(r"/(work|tmp|root|home|usr|Users)/", json.dumps(cell["outputs"]))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path):
    pytest.importorskip("nbclient", reason="requirements-dev.txt is not installed")
    from website.notebooks import executed

    kept = json.loads(path.read_text())
    for before, after in zip(_code(kept), _code(executed(path)), strict=True):
        assert list(_texts(after)) == list(_texts(before)), "".join(before["source"])
