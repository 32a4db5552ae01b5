"""What `pip install .` gives: the runtime, with what it declares, and nothing else."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import setuptools
from artefacts import export_small, users, write_items
from packaging.requirements import Requirement
from packaging.version import Version

import prerank

ROOT = Path(__file__).parents[2]

needs_setuptools = pytest.mark.skipif(
    Version(setuptools.__version__) < Version("77"), reason="setuptools is older than requirements-dev.txt says"
)

# Runs as if nothing were installed but what the wheel declares.
_SERVE = """
import json, sys

site, allowed, installed, commands = json.loads(sys.argv[1])
sys.path += site

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in installed and top not in allowed:
            raise ModuleNotFoundError(f"{name} is not declared", name=name)

sys.meta_path.insert(0, Only())
import prerank
assert prerank.__file__.startswith(site[0]), prerank.__file__
from prerank.command_line import main
for command in commands:
    assert main(command) == 0
from prerank import PreRanker
for name in ("tensorflow", "pandas", "sklearn", "features", "errors", "models", "layers", "export", "serving"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy, as building writes into the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "prerank", folder / "source" / "prerank", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, folder / "source"], check=True, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@needs_setuptools
def test_the_wheel_holds_the_runtime_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    described = f"prerank-{prerank.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"prerank", described}
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "prerank").rglob("*.py")}
    assert {name for name in names if name.startswith("prerank/")} == {*expected, "prerank/py.typed"}
    assert f"{described}/licenses/LICENSE" in names
    read = zipfile.ZipFile(wheel).read
    assert b"prerank = prerank.command_line:main" in read(f"{described}/entry_points.txt")
    assert f"\nVersion: {prerank.__version__}\n" in read(f"{described}/METADATA").decode()


def _declared(requirements):
    """Names of distributions that these need, and those that these need, as they are installed here."""
    found, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = wanted.name.lower().replace("-", "_")
        if name not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(wanted.name) or [])
            waiting += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@needs_setuptools
def test_it_serves_an_onnx_export_with_what_it_declares(wheel, tmp_path):
    pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (description,) = (tmp_path / "site").glob("*.dist-info")
    needed = metadata.PathDistribution(description).requires or []
    applies = [
        text for text in needed if (marker := Requirement(text).marker) is None or marker.evaluate({"extra": "onnx"})
    ]
    direct = {Requirement(text).name for text in applies}
    assert direct > {"numpy", "onnxruntime", "pyarrow", "pydantic"}
    assert not direct & {"pandas", "scikit-learn", "tensorflow"}
    declared = _declared(applies)
    owners = metadata.packages_distributions()
    allowed = [top for top, names in owners.items() if {name.lower().replace("-", "_") for name in names} & declared]

    place = export_small("hit", tmp_path / "out", export_format="onnx")
    items = write_items(place / "catalogue.parquet", range(1, 90))
    user = json.dumps(users(1)[0])
    commands = [
        ["index", "--model", str(place), "--items", str(items)],
        ["index", "--model", str(place), "--items", str(items), "--update"],
        ["top", "--model", str(place), "--top", "3", "--user", user],
    ]
    site = [str(tmp_path / "site"), str(Path(setuptools.__file__).parents[1]), *_site_packages()]
    given = json.dumps([site, allowed, [top for top in owners if top != "prerank"], commands])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SERVE, given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    best = prerank.PreRanker(place).top(users(1)[0], 3)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[-3:]] == [str(key) for key in best.ids]


def _site_packages():
    return [path for path in sys.path if path.endswith("site-packages")]


_LIGHT = """
import sys
import prerank, prerank.errors, prerank.command_line
heavy = {"numpy", "pyarrow", "onnxruntime", "tensorflow", "pandas", "sklearn"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
try:
    prerank.command_line.main(["--help"])
except SystemExit:
    pass
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from prerank import PreRanker
assert not (heavy - {"numpy", "pyarrow"}) & set(sys.modules), heavy & set(sys.modules)
"""


def test_importing_it_and_its_help_wait_for_nothing():
    done = subprocess.run([sys.executable, "-c", _LIGHT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: prerank" in done.stdout
