"""What CI installs is pinned whole, and what other people's environments get has ranges with both ends."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = sorted(ROOT.glob("requirements*.txt"))


def _pins(path):
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-r ")]
    return {canonicalize_name(one.name): str(one.specifier) for one in found}


@pytest.mark.parametrize("path", [*FILES, ROOT / ".ci" / "constraints.txt"], ids=lambda path: path.name)
def test_every_requirement_has_one_version(path):
    for name, versions in _pins(path).items():
        assert re.fullmatch(r"==[^,*]+", versions), name


def test_ci_installs_the_versions_that_the_requirement_files_name():
    constraints = _pins(ROOT / ".ci" / "constraints.txt")
    assert "-c .ci/constraints.txt" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert len(constraints) > 100  # those that other packages bring, too
    for path in FILES:
        if path.name not in ("requirements-torch.txt", "requirements-fbgemm.txt"):  # which CI does not install
            for name, version in _pins(path).items():
                assert constraints[name] == version, (path.name, name)


def test_what_is_installed_elsewhere_has_ranges_with_both_ends_that_hold_our_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    constraints = _pins(ROOT / ".ci" / "constraints.txt")
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for one in (Requirement(text) for group in groups for text in group):
        assert sorted(part.operator for part in one.specifier) == ["<", ">="], one
        assert constraints[canonicalize_name(one.name)].removeprefix("==") in one.specifier, one
