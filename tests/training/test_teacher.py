import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from request_data import requests_data  # noqa: F401

from prerank.errors import InputError
from training.batches import Batches
from training.callbacks import predict
from training.config import parse
from training.examples import examples
from training.teacher import Teacher
from training.trainer import train

SMALL = ["--embedding_dim", "4", "--batch_size", "128", "--epoch", "1"]
TOWER = ["--model_name", "dssm", "--hidden_units", "8,4"]


def config(place, *argv):
    return parse([*SMALL, "--output_dir", str(place), *argv], program="train.py", description="Train.")


@pytest.fixture(scope="module")
def runs(requests_data, tmp_path_factory):  # noqa: F811
    """Two finished runs that see what is privileged: a ranker and a decoupled model."""
    place = tmp_path_factory.mktemp("teachers")
    flags = ["--with_privileged", "--hidden_units", "8,4"]
    return [
        train(config(place, "--model_name", name, *flags), requests_data, lambda _: None) for name in ("cold", "dssm")
    ]


def names(runs):
    return [str(run.folder) for run in runs]


def test_a_teacher_is_the_mean_of_its_runs_and_its_scores_are_kept(runs, requests_data, monkeypatch):  # noqa: F811
    wanted = np.mean([predict(run.model, Batches(requests_data, "train", 500).dataset()) for run in runs], axis=0)
    teacher = Teacher.open(names(runs), requests_data)
    np.testing.assert_allclose(teacher.of_training_rows(), wanted, rtol=1e-4, atol=1e-5)
    (broken, *_) = sorted(requests_data.path.parent.glob("*-teacher-*/*.npy"))
    content = broken.read_bytes()
    broken.write_bytes(content[:50])
    np.testing.assert_allclose(teacher.of_training_rows(), wanted, rtol=1e-4, atol=1e-5)
    assert broken.read_bytes() == content
    monkeypatch.setattr(Teacher, "_computed", lambda *_: pytest.fail("computed anew"))
    np.testing.assert_allclose(
        Teacher.open(names(runs), requests_data).of_training_rows(), wanted, rtol=1e-4, atol=1e-5
    )


def test_a_teacher_scores_pairs(runs, requests_data):  # noqa: F811
    columns = Batches(requests_data, "train", 500).columns([field.name for field in requests_data.spec.fields])
    features = {name: values[:6] for name, values in columns.items() if name != requests_data.spec.label}
    users, items = np.array([0, 1, 2, 5]), np.array([3, 1, 0, 4])
    sides = {field.name: users if field.side == "user" else items for field in requests_data.spec.fields}
    pairs = {name: values[sides[name]] for name, values in features.items()}
    wanted = np.mean([run.model(pairs, training=False).numpy() for run in runs], axis=0)
    np.testing.assert_allclose(
        Teacher.open(names(runs), requests_data).score(features, users, items), wanted, rtol=1e-4, atol=1e-5
    )


def test_a_student_sees_nothing_privileged_and_is_identified_by_its_teacher(runs, requests_data, tmp_path):  # noqa: F811
    flags = [*TOWER, "--candidates_per_row", "2", "--teacher_on", "both"]
    asked = config(tmp_path, *flags, "--teacher", ",".join(names(runs)))
    student = train(asked, requests_data, lambda _: None)
    assert "secret" not in [field.name for field in student.model.spec.fields]
    assert "secret" in [field.name for field in runs[0].model.spec.fields]
    assert "teacher" in (student.folder / "history.csv").read_text().splitlines()[0].split(",")
    other = config(tmp_path, *flags, "--teacher", names(runs)[0])
    assert asked.identity("x") != other.identity("x")
    elsewhere = tmp_path / "moved"
    elsewhere.symlink_to(runs[0].folder)
    assert config(tmp_path, *flags, "--teacher", str(elsewhere)).identity("x") == other.identity("x")


@pytest.mark.parametrize(
    "argv",
    [
        ["--list_by", "request", "--loss", "stage_softmax", "--teacher", "data", "--teacher_loss", "pairwise"],
        ["--candidates_per_row", "2", "--candidates_from", "request", "--loss", "softmax"],
        ["--list_by", "user", "--candidates_per_row", "1", "--loss", "joint_ranking_calibration"],
    ],
)
def test_runs_of_requests_train(requests_data, tmp_path, argv):  # noqa: F811
    result = train(config(tmp_path, *TOWER, *argv), requests_data, lambda _: None)
    assert result.metrics["status"] == "finished"
    assert 0 < result.metrics["test"]["logloss"] < 5


def test_epochs_are_chosen_by_the_cascade(requests_data, tmp_path):  # noqa: F811
    asked = config(tmp_path, *TOWER, "--select_by", "cascade_recall@5", "--epoch", "3", "--lr", "0.02")
    lines = (train(asked, requests_data, lambda _: None).folder / "history.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    values = [float(row["val_cascade_recall@5"]) for row in rows]
    assert all(0 <= value <= 1 for value in values)
    best = json.loads((next(tmp_path.rglob("metrics.json"))).read_text())["best_epoch"]
    assert best == 1 + int(np.argmax(values))


def test_teachers_that_cannot_be_used(runs, requests_data, prepared, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="--teacher: expected the folder of a finished run"):
        config(tmp_path, *TOWER, "--teacher", str(tmp_path)).identity("x")
    with pytest.raises(InputError, match="--teacher: the run was on other data: fingerprint .* expected"):
        Teacher.open(names(runs), prepared)
    copy = tmp_path / "copy"
    copy.mkdir()
    stored = json.loads((runs[0].folder / "metrics.json").read_text())
    (copy / "metrics.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match="--teacher: the run's weights are gone"):
        Teacher.open([str(copy)], requests_data)
    (copy / "metrics.json").write_text(json.dumps(stored | {"status": "diverged"}))
    with pytest.raises(InputError, match="--teacher: the run is not finished but diverged"):
        Teacher.open([str(copy)], requests_data)


def test_teachers_are_named_once_and_in_any_order(runs, requests_data, tmp_path):  # noqa: F811
    first, second = names(runs)
    identities = {
        config(tmp_path, *TOWER, "--teacher", asked).identity("x")
        for asked in (f"{first},{second}", f"{second},{first}")
    }
    assert len(identities) == 1
    ways = [Teacher.open(order, requests_data).of_training_rows() for order in ([first, second], [second, first])]
    np.testing.assert_array_equal(*ways)
    other = tmp_path / "other"
    other.symlink_to(runs[0].folder)
    for again in (first, f"{first}/", str(other)):
        with pytest.raises(InputError, match="--teacher: the same run as .*, expected each once"):
            config(tmp_path, *TOWER, "--teacher", f"{first},{again}").identity("x")
        with pytest.raises(InputError, match="--teacher: the same run as"):
            Teacher.open([first, again], requests_data)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"exposure_scale": 5}, "exposure_scale: Input should be less than or equal to 1. Received: 5"),
        ({"exposure_scale": 0.5}, "--exposure_scale needs --entire_space"),
        ({"embedding_dim": "x"}, "embedding_dim: "),
        ({"random_seed": "a"}, "random_seed: "),
        ({"random_seed": -1}, "random_seed: "),
        ({"random_seed": None}, "random_seed: "),
        ({"with_privileged": "perhaps"}, "with_privileged: "),
        ({"model_name": "no_such"}, "--model_name: there is no model 'no_such'"),
        ({"model_name": 3}, "expected a model_name"),
    ],
)
def test_a_teacher_whose_configuration_is_wrong(runs, requests_data, tmp_path, values, problem):  # noqa: F811
    shutil.copytree(runs[1].folder, tmp_path / "run")
    file = tmp_path / "run" / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | values))
    with pytest.raises(InputError, match=f"config.yaml: --teacher: {problem}") as caught:
        Teacher.open([str(tmp_path / "run")], requests_data)
    assert "\n" not in str(caught.value)


def test_examples_of_an_export_are_rated_rows_without_what_is_privileged(requests_data):  # noqa: F811
    table = pq.read_table(io.BytesIO(examples(requests_data, 1000)))
    assert "secret" not in table.column_names
    assert {"who", "what", "kind"} < set(table.column_names)
    assert set(table[requests_data.spec.label].to_pylist()) == {0, 1}
