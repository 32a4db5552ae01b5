"""Every script in `examples/` runs, and says what its page says."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder for all of them, as some read what others wrote."""
    return tmp_path_factory.mktemp("examples")


def _run(name, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    return capsys.readouterr().out


def test_own_data_then_a_run_a_comparison_and_serving(here, monkeypatch, capsys):
    said = _run("own_data", here, monkeypatch, capsys)
    assert "dssm on shop, protocol strict: finished" in said
    assert "index of 80 items" in said
    said = _run("read_a_run", here, monkeypatch, capsys)
    assert re.search(r"^dssm, batch size 512, learning rate 0\.01\nepoch 1: loss 0\.\d{4}", said)
    assert re.search(r"^GAUC 0\.\d{4} leaves out \d+\.\d% of the users", said, re.MULTILINE)
    said = _run("compare_models", here, monkeypatch, capsys)
    found = re.search(r"AUC of dssm less that of lr: ([+-]0\.\d+), 95 % interval \[([+-]0\.\d+), ([+-]0\.\d+)\]", said)
    difference, low, high = map(float, found.groups())
    assert low <= difference <= high
    said = _run("serve", here, monkeypatch, capsys)
    assert len(re.findall(r"^p\d{3}\t-?\d+\.\d{3}$", said, re.MULTILINE)) == 5
    assert not re.search(r"^p00[26]\t", said, re.MULTILINE)  # bought before
    assert "unknown: ['no such product']" in said
    assert re.search(r"refused: .*customer", said)


def test_a_report_on_a_toy(here, monkeypatch, capsys):
    said = _run("report_on_a_toy", here, monkeypatch, capsys)
    assert re.search(r"^\| model \|", said, re.MULTILINE)
    for model in ("target_means", "lr", "dssm"):
        assert re.search(rf"^\| `{model}` \|.* 0\.\d{{4}} ", said, re.MULTILINE), model
    assert "`movielens_generated`" in (here / "toy/results/README.md").read_text()
    assert (here / "toy/results/report.html").is_file()


def test_layers_in_an_own_model_on_deepctr_columns(here, monkeypatch, capsys):
    assert "saved and loaded, the same predictions: True" in _run("layers_in_keras", here, monkeypatch, capsys)


@pytest.mark.slow
def test_layers_on_keras_3(here):
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "layers_on_keras_3.py")],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Keras 3\.\S+, saved and loaded, the same predictions: True$", done.stdout, re.MULTILINE)


def test_the_page_names_every_script():
    named = set(re.findall(r"`python examples/(\w+)\.py[ `]", (EXAMPLES / "README.md").read_text()))
    assert named == {path.stem for path in EXAMPLES.glob("*.py")}
