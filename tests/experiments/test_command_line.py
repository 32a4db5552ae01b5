"""`benchmark.py` as a user runs it."""

import json
import subprocess
import sys

import pytest
from run_folders import write_run

from experiments.command_line import main
from experiments.scripts import ROOT
from prerank.errors import InputError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("run --dataset netflix", ["--dataset", "movielens"]),
        ("run --dataset movielens --models nope", ["--model_name", "nope", "hit"]),
        ("run --dataset movielens --protocols loose", ["--protocols", "strict, reference"]),
        ("run --dataset movielens --seeds 0,a", ["--seeds", "integers"]),
        ("run --dataset movielens --seeds 1,1", ["--seeds", "different"]),
        ("run --dataset movielens --data_path nowhere", ["nowhere"]),
        ("run --dataset movielens nonsense", ["key=value"]),
        ("ablate --dataset movielens --presets all", ["--presets", "leaks, hit, fit, heads, baselines"]),
        ("tune --dataset movielens --model_name nope", ["--model_name", "nope"]),
        ("measure --dataset movielens", ["--output_dir", "no run of movielens"]),
        ("collect", ["--output_dir", "no run of any data set"]),
        ("report --out here", ["no run to report on"]),
        ("report --drop", ["--publish"]),
        ("report --data movielens=x", ["--publish"]),
        ("report --publish --data movielens", ["--data", "DATASET=DATA", "Received: movielens"]),
        ("report --publish", ["README.md", "cannot be filled in"]),
        ("report --publish --out here", ["here/runs", "collect"]),
        ("report --out docs/results", ["--publish"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_wrong_input_is_told_and_leaves_nothing(here, argv, words):
    with pytest.raises(InputError) as error:
        main(argv.split())
    assert all(word in str(error.value) for word in words), error.value
    assert not list(here.iterdir())


def test_the_old_name_of_tunes_model_names_the_new_one(here, capsys):
    with pytest.raises(InputError, match="--model_name: .*nope"):
        main(["tune", "--dataset", "movielens", "--model", "nope"])
    assert capsys.readouterr().err == "--model is now --model_name\n"
    with pytest.raises(InputError, match="--model_name"):
        main(["tune", "--dataset", "movielens"])


def test_runs_are_chosen_by_the_script_or_the_name_of_their_data_set(here):
    for dataset in ("movielens", "movielens_generated", "movielens_shop"):
        write_run(here / "runs", "dssm", 0, 0.9, dataset=dataset)

    def collected(*flags):
        main(["collect", "--out", "/".join(["kept", *flags]), *flags])
        return sorted(path.name for path in here.joinpath("kept", *flags, "runs").iterdir())

    assert collected() == ["movielens", "movielens_generated", "movielens_shop"]
    assert collected("--dataset", "movielens") == ["movielens", "movielens_generated"]
    assert collected("--dataset", "movielens_generated") == ["movielens_generated"]
    assert collected("--dataset", "movielens_shop") == ["movielens_shop"]
    for unknown in ("movie", "amazon", "movielens_"):
        with pytest.raises(InputError, match=f"no run of {unknown}"):
            collected("--dataset", unknown)


@pytest.mark.slow
def test_two_models_from_training_to_report(here, sample_folder, prepared):
    flags = ["--dataset", "movielens", "--models", "target_means,dssm", "--seeds", "0", "--protocols", "strict"]
    flags += [
        "--data_path",
        str(sample_folder),
        "epoch=1",
        "hidden_units=8,4",
        f"prepared_dir={prepared.path.parents[1]}",
    ]
    command = [sys.executable, str(ROOT / "benchmark.py"), "run", *flags]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "hidden_units" in refused.stderr.splitlines()[-1]  # target_means has none
    flags.remove("hidden_units=8,4")
    main(["run", *flags])
    folders = sorted((here / "runs").glob("movielens_generated/strict/*/seed0-*"))
    assert [folder.parent.name for folder in folders] == ["dssm", "target_means"]
    written = [(folder / "metrics.json").stat().st_mtime_ns for folder in folders]
    main(["run", *flags])
    assert [(folder / "metrics.json").stat().st_mtime_ns for folder in folders] == written
    data = ["--dataset", "movielens", "--data_path", str(sample_folder)]
    (folders[0] / "predictions.parquet").unlink()  # the trained model gives them again
    main(["measure", *data, "--ranker", "target_means", "--users", "5"])
    assert len((folders[0] / "bootstrap.csv").read_text().splitlines()) == 1001
    found = json.loads((folders[0] / "ranker_agreement.json").read_text())
    assert found["users"] == 5
    assert 0 <= found["overlap@100"] <= 1
    assert 0 <= found["unseen@100"] <= 1
    main(["collect"])
    main(["report"])
    auc = json.loads((folders[0] / "metrics.json").read_text())["test"]["auc"]
    assert f"{auc:.4f}" in (here / "results" / "README.md").read_text()
