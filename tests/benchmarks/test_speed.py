"""What the measurements of speed are made of; speed itself is not tested."""

import sys
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import all as everything
from benchmarks import train_throughput
from benchmarks.alternation import alternate, medians, ratios, shown
from benchmarks.machine import machine
from benchmarks.serving_quick import measure, measure_users
from benchmarks.throughput import table
from training.batches import Batches

FOUND = {
    "ours": [{"wall": 2.0, "cpu": 3.0}, {"wall": 4.0, "cpu": 3.0}, {"wall": 3.0, "cpu": 3.0}],
    "other": [{"wall": 4.0, "cpu": 3.0}, {"wall": 4.0, "cpu": 6.0}, {"wall": 9.0, "cpu": 1.5}],
}


def test_sides_take_turns():
    order, said = [], []
    found = alternate({name: lambda name=name: order.append(name) or {"wall": 1.5} for name in "ab"}, 2, said.append)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [{"wall": 1.5}] * 2, "b": [{"wall": 1.5}] * 2}
    assert said[1] == "  round 1, b: wall 1.5"


def test_ratios_are_taken_round_by_round():
    assert medians(FOUND["other"]) == {"wall": 4.0, "cpu": 3.0}
    assert ratios(FOUND, "other", "ours", "wall") == (2.0, 1.0, 3.0)
    assert shown(ratios(FOUND, "other", "ours", "cpu")) == "1.00 (0.50 to 2.00)"


def test_the_page_holds_medians_ratios_and_the_machine():
    made_on = machine()
    text = everything.page({"jobs": {"dssm": FOUND}}, made_on)
    assert "| other | 4 | 3 | 2.00 (1.00 to 3.00) | 1.00 (0.50 to 2.00) |" in text
    assert "| ours | 3 | 3 | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) |" in text
    assert f"{made_on['cores']} cores" in text
    assert f"tensorflow {made_on['versions']['tensorflow']}" in text


def test_no_script_hides_a_module_of_the_standard_library():
    """A script finds the modules beside it first; `profile` there once broke PyTorch's import."""
    folder = Path(benchmarks.__file__).parent / "throughput"
    assert not {file.stem for file in folder.glob("*.py")} & set(sys.stdlib_module_names)


def test_the_table_can_be_read(tmp_path):
    data = table.build(tmp_path / "table", "zipf", rows=3000, validation_rows=100)
    integers, floats = next(Batches(data, "train", 512).epoch(0))
    assert integers.shape == (500, 12 + table.HISTORY)  # 3,000 rows in 6 batches of equal size
    assert set(np.unique(floats)) == {0.0, 1.0}
    again = table.build(tmp_path / "table", "zipf", rows=3000, validation_rows=100)
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--sides", "ours,mine"], "--sides: choose of stock, ours"),
        (["--without", "nothing"], "--without: choose of compiled_rows, kept_memory, planning"),
        (["--torch_python", "/nowhere/python"], "/nowhere/python: --torch_python: No such file or directory"),
        (["--embedding_dim", "0"], "--embedding_dim: "),
    ],
)
def test_wrong_flags(flags, said, capsys):
    assert train_throughput.main(flags) == 2
    assert said in capsys.readouterr().err


def test_both_sides_of_serving_are_measured():
    found = measure(500, rounds=1, said=lambda line: None)
    assert found.keys() == {"ours", "plain NumPy"}
    assert all(0 < rows[0]["request, ms"] < 1000 for rows in found.values())
    found = measure_users(500, "int8", rounds=1, said=lambda line: None)
    assert found.keys() == {"ours", "one user after the other"}
