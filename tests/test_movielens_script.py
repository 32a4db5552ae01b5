"""The training script as a user runs it."""

import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from sample import prepared, sample_folder  # noqa: F401

import train_movielens_whole_models as script
from features import RESERVED
from models import names, registry
from models.registry import get
from prerank import tensorflow_log
from prerank.artefact import Artefact
from prerank.items import columns, read_table
from training.app import main
from training.batches import read_columns

ROOT = Path(__file__).parents[1]
_SMALL = ["--hidden_units", "16,8", "--embedding_dim", "4", "--epoch", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_data_it_says_so_and_runs_on_a_sample(here, capsys):
    assert main(script.SOURCE, ["--model_name", "target_means"]) == 0
    said = capsys.readouterr().out
    assert "no data in data/ml-1m" in said
    assert "https://grouplens.org" in said
    assert "ceiling" in said
    assert (here / "data" / "ml-1m-generated-sample" / "ratings.dat").exists()
    assert main(script.SOURCE, ["--model_name", "target_means", "--random_seed", "1"]) == 0
    assert "reusing" in capsys.readouterr().out


def test_from_raw_files_to_an_export(here, sample_folder, capsys):  # noqa: F811
    flags = ["--data_path", str(sample_folder), *_SMALL, "--export_dir", "out/hit", "--export_version", "1"]
    assert main(script.SOURCE, flags) == 0
    said = capsys.readouterr().out
    assert "target_means (floor)" in said
    place = here / "out" / "hit" / "1"
    assert {"saved_model.pb", "features.json", "config.yaml", "metrics.json", "catalogue.parquet"} <= set(
        os.listdir(place)
    )
    assert json.loads((place / "metrics.json").read_text())["status"] == "finished"
    assert main(script.SOURCE, flags[:-4]) == 2
    assert "--overwrite" in capsys.readouterr().err
    again = [*flags[:-4], "--export_dir", "out/again"]
    assert main(script.SOURCE, again) == 0
    assert "nothing is trained" in capsys.readouterr().out
    towers = [tf.saved_model.load(folder).signatures["item_tower"] for folder in (place, "out/again")]
    item = {"movie_id": tf.constant([7], tf.int64), "genres": tf.constant([["Drama"]]), "item_mean_rating": [0.5]}
    first, second = (tower(**item) for tower in towers)
    for name in first:
        assert np.array_equal(first[name], second[name]), name
    assert main(script.SOURCE, [*again, "--overwrite"]) == 0
    assert "nothing is trained" not in capsys.readouterr().out


def test_data_can_be_prepared_alone(here, sample_folder, capsys):  # noqa: F811
    flags = ["--data_path", str(sample_folder), *_SMALL, "--prepare_only"]
    assert main(script.SOURCE, flags) == 0
    assert "prepared train" in capsys.readouterr().out
    assert not (here / "runs").exists()
    assert main(script.SOURCE, [*flags, "--export_dir", "out"]) == 2
    assert "--prepare_only trains nothing that --export_dir could take" in capsys.readouterr().err
    assert main(script.SOURCE, flags[:-1]) == 0
    assert "reusing" in capsys.readouterr().out


def test_from_raw_files_to_onnx(here, sample_folder):  # noqa: F811
    pytest.importorskip("tf2onnx", reason="requirements-onnx.txt is not installed")
    flags = ["--data_path", str(sample_folder), *_SMALL, "--export_dir", "out", "--export_format", "onnx"]
    assert main(script.SOURCE, flags) == 0
    assert set(os.listdir(here / "out")) == {
        "serving_default.onnx", "user_tower.onnx", "item_tower.onnx", "score.onnx", "vocabularies.json",
        "features.json", "config.yaml", "metrics.json", "catalogue.parquet", "examples.parquet", "scorer.npz",
    }  # fmt: skip


def test_both_exports_of_trees_give_the_logits_of_the_training(here, sample_folder, prepared, capsys):  # noqa: F811
    pytest.importorskip("tf2onnx", reason="requirements-onnx.txt is not installed")
    flags = ["--data_path", str(sample_folder), "--model_name", "gbdt", "--trees", "30", "--export_examples", "99999"]
    assert main(script.SOURCE, [*flags, "--save_predictions", "--export_dir", "out/saved_model"]) == 0
    (run,) = (here / "runs").glob("**/checkpoints")
    assert os.listdir(run) == ["best.npz"]
    capsys.readouterr()
    assert main(script.SOURCE, [*flags, "--export_dir", "out/onnx", "--export_format", "onnx"]) == 0
    assert "nothing is trained" in capsys.readouterr().out
    known = read_columns(prepared, "test", ["movie_id"])["movie_id"] >= RESERVED
    expected = pq.read_table(run.parent / "predictions.parquet")["logit"].to_numpy()[known]
    assert len(expected) > 500
    for name in ("saved_model", "onnx"):
        place = here / "out" / name
        model = Artefact(place)
        assert list(model.features["outputs"]) == ["serving_default"]
        fields = model.inputs()
        raw = columns(read_table(place / "examples.parquet"), fields, place)
        found = model.signature("serving_default", [field["name"] for field in fields])(raw)
        np.testing.assert_allclose(found["logit"], expected, rtol=0, atol=1e-5)


def test_a_model_that_cannot_be_exported_says_why(here, capsys, monkeypatch):
    limited = dataclasses.replace(get("dssm"), limits={"exportable": "it is a secret"})
    monkeypatch.setitem(registry._REGISTERED, "dssm", limited)
    assert main(script.SOURCE, ["--model_name", "dssm", "--export_dir", "out"]) == 2
    assert capsys.readouterr().err == "error: --export_dir: dssm cannot be exported: it is a secret\n"
    assert os.listdir(here) == []


def test_trees_in_a_file_that_could_run_code_are_not_read(here, sample_folder, capsys):  # noqa: F811
    flags = ["--data_path", str(sample_folder), "--model_name", "gbdt", "--trees", "3", "--export_dir", "out"]
    assert main(script.SOURCE, flags) == 0
    (trees,) = (here / "runs").glob("**/best.npz")
    runs_code = f"cos\nsystem\n(S'touch {here}/code-ran'\ntR.".encode()
    for name, content, words in (
        ("best.npz", trees.read_bytes()[:-100], "best.npz"),
        ("best.npz", runs_code, "best.npz"),
        ("best.joblib", runs_code, "train the run again"),
    ):
        trees.unlink(missing_ok=True)
        (trees.parent / name).write_bytes(content)
        capsys.readouterr()
        assert main(script.SOURCE, flags) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert words in error
    assert not (here / "code-ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["strict", "reference"])
def test_every_model_trains_without_special_flags(here, sample_folder, protocol):  # noqa: F811
    for name in names():
        flags = ["--data_path", str(sample_folder), "--model_name", name, "--protocol", protocol, "--epoch", "1"]
        assert main(script.SOURCE, flags) == 0, name


def test_divergence_has_an_exit_code_of_its_own(here, sample_folder, capsys):  # noqa: F811
    flags = ["--data_path", str(sample_folder), *_SMALL, "--lr", "1e30", "--export_dir", "out"]
    assert main(script.SOURCE, flags) == 3
    assert "diverged" in capsys.readouterr().err
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model_name", "nope"], ["--model_name", "dssm", "hit", "target_means"]),
        (["--model_name", "HIT"], ["--model_name", "'HIT'", "did you mean hit?"]),
        (["--batchsize", "3"], ["--batchsize", "did you mean --batch_size?"]),
        (["--model-name", "dssm"], ["--model-name", "did you mean --model_name?"]),
        (["--no-overwrit"], ["--no-overwrit", "did you mean --overwrite?"]),
        (["--no-epoch"], ["--no-epoch", "there is no such option"]),
        (["--meta_vectors", "3"], ["--meta_vectors", "hit has no such option; fit has it"]),
        (["--config", "typo.yaml"], ["typo.yaml", "patiance", "did you mean patience?"]),
        (["--data_path", "nowhere"], ["nowhere"]),
        (["--batch_size", "0"], ["--batch_size", "greater than 0"]),
        (["--export_dir", "taken"], ["--export_dir", "taken"]),
        (["--device", "gpu"], ["--device gpu"]),
        (["--strategy", "multi_worker"], ["--strategy multi_worker", "TF_CONFIG", "not set"]),
        (["--strategy", "mirrored", "--jit"], ["--jit", "--strategy mirrored"]),
        (["--strategy", "mirrored", "--model_name", "gbdt"], ["--strategy mirrored", "gbdt", "gradient steps"]),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(here, capsys, flags, words):
    (here / "taken").mkdir()
    (here / "taken" / "thesis.tex").write_text("")
    (here / "typo.yaml").write_text("patiance: 3\n")
    if flags == ["--device", "gpu"] and tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert main(script.SOURCE, flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words), error
    assert sorted(os.listdir(here)) == ["taken", "typo.yaml"]


def test_ratings_of_one_class_are_one_line(here, sample_folder, capsys):  # noqa: F811
    shutil.copytree(sample_folder, here / "raw")
    lines = (here / "raw" / "ratings.dat").read_text("latin-1").splitlines()
    liked = ["::".join([*line.split("::")[:2], "5", line.split("::")[3]]) + "\n" for line in lines]
    (here / "raw" / "ratings.dat").write_text("".join(liked), "latin-1")
    assert main(script.SOURCE, ["--data_path", "raw", "--model_name", "target_means"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "positives and negatives" in error
    assert not (here / "runs").exists()


def _limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_full_disk_while_training_is_one_line(here, sample_folder, prepared):  # noqa: F811
    flags = ["--data_path", str(sample_folder), "--prepared_dir", str(prepared.path.parents[1]), "--epoch", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train_movielens_whole_models.py"), *flags],
        preexec_fn=_limit_file_size, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    # TensorFlow was there and trained, and yet wrote nothing about CUDA or its build
    assert done.stderr.startswith("error: ")
    assert "--output_dir" in done.stderr
    assert done.stderr.count("\n") == 1 or tensorflow_log.has_gpu()
    assert not [path for path in here.rglob("*") if path.is_file()]
