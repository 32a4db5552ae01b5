"""What needs no TensorFlow does not import it. Each test is a process of its own, as a user starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample import sample_folder  # noqa: F401

import models

ROOT = Path(__file__).parents[1]
WITH_TENSORFLOW = {"tensorflow", "deepctr", "deepmatch", "keras", "tf_keras"}
HEAVY = {"scipy", "sklearn", "pandas", "duckdb", "matplotlib", "optuna", "pyspark", "onnx"}
SCRIPTS = sorted(path.name for path in ROOT.glob("train*_whole_models.py"))
COMMANDS = ["", "run", "ablate", "tune", "measure", "collect", "report"]


def imported(code, *arguments, cwd=ROOT):
    """Which packages a process has imported in the end."""
    script = f"{code}\nimport sys; print('imported', *{{name.partition('.')[0] for name in sys.modules}})"
    process = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    return set(process.stdout.splitlines()[-1].split()[1:])


IMPORT_LIGHT = """
import importlib, pathlib, sys
files = [*pathlib.Path("preprocess").rglob("*.py"), *pathlib.Path("experiments/report").glob("*.py")]
modules = [".".join(file.with_suffix("").parts) for file in files if file.stem != "__main__"]
modules += ["features", "models", "experiments.collect", "experiments.command_line", "export.place"]
modules += [f"training.{name}" for name in ("app", "config", "examples", "metrics", "options", "run_folder", "source")]
modules += ["prerank.preranker"]
for module in modules:
    try:
        importlib.import_module(module.removesuffix(".__init__"))
    except ModuleNotFoundError as error:
        assert error.name == "pyspark", error
"""


def test_data_metrics_and_report_import_without_tensorflow():
    assert not imported(IMPORT_LIGHT) & WITH_TENSORFLOW


def test_the_contract_imports_the_standard_library_only():
    assert not imported("import features") & (
        WITH_TENSORFLOW | HEAVY | {"numpy", "pyarrow", "legacy_keras", "pydantic"}
    )


def test_the_options_of_all_models_are_read_without_tensorflow():
    """A model in one file is read with TensorFlow: if this repository should hold it, it gets a folder."""
    folders = [name for name in models.names() if (ROOT / "models" / name / "options.py").exists()]
    assert {"dssm", "gbdt", "hit"} <= set(folders)
    code = "import sys, models\nfor name in sys.argv[1:]:\n    assert models.get(name).options().dropout >= 0"
    assert not imported(code, *folders) & (WITH_TENSORFLOW | HEAVY)


HELP = """
import contextlib, io, runpy, sys
for line in sys.argv[1:]:
    program, *sys.argv = line.split()
    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    sys.argv = [program, *sys.argv, "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            run(program, run_name="__main__")
        except SystemExit as end:
            assert not end.code, (line, end)
    assert "usage" in text.getvalue(), line
"""


@pytest.mark.parametrize(
    ("programs", "absent"),
    [
        ([*SCRIPTS, *(f"benchmark.py {command}" for command in COMMANDS)], WITH_TENSORFLOW | HEAVY),
        (["preprocess.generate", "benchmarks.scale", "benchmarks.train_throughput"], WITH_TENSORFLOW | HEAVY),
        (["benchmarks.input_pipeline", "benchmarks.serving_latency", "export.rest_example"], WITH_TENSORFLOW),
        (
            [
                f"prerank {command}"
                for command in ("", "top", "score", "index", "serve", "evaluate", "compare", "predict", "rollback")
            ],
            WITH_TENSORFLOW,
        ),
    ],
    ids=["scripts", "tools", "measurements", "prerank"],
)
def test_help_without_what_is_heavy(programs, absent):
    assert not imported(HELP, *programs) & absent


PREPARE = """
import sys
import train_movielens_whole_models as script
from training.app import main
assert main(script.SOURCE, ["--data_path", sys.argv[1], "--prepare_only"]) == 0
"""


def test_data_are_prepared_without_tensorflow(sample_folder, tmp_path):  # noqa: F811
    assert not imported(PREPARE, str(sample_folder), cwd=tmp_path) & WITH_TENSORFLOW
    assert list(tmp_path.rglob("manifest.json"))


def test_data_are_generated_without_tensorflow(tmp_path):
    code = (
        "import sys, preprocess.generate.__main__ as g\nassert g.main(['--dataset', 'movielens', *sys.argv[1:]]) == 0"
    )
    assert not imported(code, "--rows", "2000", "--out", str(tmp_path / "ml")) & WITH_TENSORFLOW
