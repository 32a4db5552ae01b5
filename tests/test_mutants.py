"""The command that tries mutants: what it draws, and that it tells a killed one from one that lives."""

from pathlib import Path

import pytest

from tests.mutants import scope

ROOT = Path(__file__).parents[1]
FILES = scope.files(ROOT)


def test_every_file_in_scope_has_tests_and_they_exist():
    assert len(FILES) > 150
    for package in ("preprocess", "layers", "models", "training", "prerank", "experiments"):
        assert any(file.startswith(f"{package}/") for file in FILES)
    for file in FILES:
        assert scope.tests(ROOT, file), file
    assert scope.tests(ROOT, "layers/tower.py") == [
        ("tests/layers/test_tower.py", ""),
        ("tests/layers/test_defaults.py", ""),
        ("tests/layers/test_layer_conformance.py", "Tower"),
    ]


@pytest.fixture
def tool():
    pytest.importorskip("cosmic_ray", reason="no cosmic-ray: requirements-dev.txt")
    from tests.mutants import __main__ as command
    from tests.mutants import by_hand, draw, results, trees

    return {"by_hand": by_hand, "command": command, "draw": draw, "results": results, "trees": trees}


def test_every_hand_written_mutant_fits_its_file(tool):
    found = list(tool["by_hand"].mutants(ROOT, FILES))
    assert len(found) == len(tool["by_hand"]._LIST)
    for mutated in found:
        compile(mutated.source, mutated.mutant.file, "exec")
        assert mutated.source != (ROOT / mutated.mutant.file).read_text("utf-8")


SOURCE = '''"""A module."""
from functools import cache
_BATCH = 7


@cache
def shares(counts: list[int] | None, least: int = 2) -> list[float]:
    """Shares."""
    total = sum(counts)
    pairs = zip(counts, counts, strict=True)
    if total == 0 or least is None:
        return []
    return [count / total for count, _ in pairs if count >= least]
'''


def test_drawn_mutants_are_the_same_each_time_one_a_line_and_of_what_counts(tool, tmp_path):
    (tmp_path / "shares.py").write_text(SOURCE)
    drawn = list(tool["draw"].drawn(tmp_path, None, ["shares.py"], 100))
    again = list(tool["draw"].drawn(tmp_path, None, ["shares.py"], 100))
    assert drawn == again
    lines = [one.mutant.line for one in drawn]
    assert len(set(lines)) == len(lines)
    # neither the size of a batch, nor what is cached, nor a type
    assert set(lines) <= {7, 9, 10, 11, 13}
    assert {7, 11, 13} <= set(lines)
    assert [one.mutant for one in tool["draw"].drawn(tmp_path, None, ["shares.py"], 2)] == [
        one.mutant for one in drawn[:2]
    ]
    only = list(tool["draw"].drawn(tmp_path, {("shares.py", 13)}, ["shares.py"], 100))
    assert [one.mutant.line for one in only] == [13]
    for one in drawn:
        assert one.mutant.before in SOURCE
        assert " ".join(one.mutant.after.split()) in " ".join(one.source.split())
        assert "list[int] | None" in one.source


def test_results_are_kept_and_counted(tool, tmp_path):
    mutant, found = tool["draw"].Mutant, tool["trees"].Found
    made = [
        (mutant("prerank/a.py", 3, "AddNot", 0, "if x:", "if not x:"), found("killed", "tests/a.py::test_a", 1.0)),
        (mutant("prerank/a.py", 5, "AddNot", 1, "if y, z:", "if not y, z:"), found("survived", "", 2.0)),
        (mutant("layers/b.py", 9, "AddNot", 0, "b", "c"), found("timeout", "", 3.0)),
        (mutant("layers/b.py", 9, "by hand", 0, "b", "d"), found("killed", "", 3.0)),
    ]
    for one in made:
        tool["results"].append(tmp_path / "kept.csv", *one)
    tool["results"].append(tmp_path / "kept.csv", made[1][0], found("killed", "x", 1.0))
    kept = tool["results"].read(tmp_path / "kept.csv")
    assert list(kept) == [one.key for one, _ in made]
    assert kept[made[1][0].key][1].result == "killed"
    lines = tool["results"].summary(made)
    assert "| layers | 1 | 1 | 100.0% |" in lines
    assert "| prerank | 2 | 1 | 50.0% |" in lines
    assert "| drawn, together | 3 | 2 | 66.7% |" in lines
    assert "| by hand | 1 | 1 | 100.0% |" in lines
