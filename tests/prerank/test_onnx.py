"""The ONNX export against the model that it was made of."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from artefacts import export_small, users, write_items
from raw_rows import keras_logits, perturb, random_raw_rows, raw_rows, vocabularies

import models
from export import onnx_files
from export.writer import export, target
from models.gbdt.trees import ROWS_AT_ONCE
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.encoding import Indexer
from prerank.errors import ArtefactError, InputError
from prerank.preranker import PreRanker

ort = pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
onnx = pytest.importorskip("onnx", reason="requirements-onnx.txt is not installed")
pytest.importorskip("tf2onnx", reason="requirements-onnx.txt is not installed")

ROOT = Path(__file__).parents[2]
_EXPORTABLE = [name for name in models.names() if models.get(name).exportable]
# One of each kind: heads, states chosen by the item, deepctr's layers, trees, embeddings of size 1, only numbers.
_IN_EVERY_RUN = {"hit", "fit", "deep_fm", "gbdt", "lr", "target_means"}

_FRESH = """
import json, sys
import numpy as np
import onnxruntime as ort
from prerank.encoding import Indexer
raw = json.load(open(sys.argv[2]))
encoded = Indexer(__import__("pathlib").Path(sys.argv[1])).encode(raw)
session = ort.InferenceSession(sys.argv[1] + "/serving_default.onnx")
(logit,) = session.run(["logit"], encoded)
assert not any(name in sys.modules for name in ("tensorflow", "models", "export", "features"))
print(json.dumps(logit.tolist()))
"""


def _run(place, signature, inputs):
    session = ort.InferenceSession(place / f"{signature}.onnx")
    inputs = {value.name: inputs[value.name] for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _export(model, prepared, place, **files):
    export(model, vocabularies(prepared), place, files, "onnx")
    return place


def _assert_agrees(place, model, prepared, raw):
    encoded = Indexer(place).encode(raw)
    expected = keras_logits(model, prepared, raw)
    answer = _run(place, "serving_default", encoded)
    _assert_close(answer["logit"], expected)
    _assert_close(answer["probability"], 1 / (1 + np.exp(-expected)))
    if not models.get(model.name).decoupled:
        return
    users, items = _run(place, "user_tower", encoded), _run(place, "item_tower", encoded)
    assert (set(users), set(items)) == (set(model.user_state), set(model.item_state))
    _assert_close(_run(place, "score", users | items)["logit"], expected)
    one_user = {name: value[:1] for name, value in users.items()}
    of_one = {name: [rows[0]] * len(rows) if prepared.spec[name].side == "user" else rows for name, rows in raw.items()}
    _assert_close(_run(place, "score", one_user | items)["logit"], keras_logits(model, prepared, of_one))


def _assert_close(answer, expected):
    assert answer.shape == expected.shape
    assert np.isfinite(answer).all()
    np.testing.assert_allclose(answer, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _IN_EVERY_RUN else pytest.mark.slow) for name in _EXPORTABLE]
)
def test_onnx_agrees_with_the_model(name, prepared, tmp_path):
    model = models.build(name, prepared.spec)
    perturb(model)
    place = _export(model, prepared, target(tmp_path / "out", 1))
    decoupled = models.get(name).decoupled
    assert sorted(path.stem for path in place.glob("*.onnx")) == (
        ["item_tower", "score", "serving_default", "user_tower"] if decoupled else ["serving_default"]
    )
    for path in place.glob("*.onnx"):
        onnx.checker.check_model(onnx.load(path), full_check=True)
    _assert_agrees(place, model, prepared, raw_rows(prepared))
    _assert_agrees(place, model, prepared, {key: value[:1] for key, value in raw_rows(prepared).items()})
    _assert_agrees(place, model, prepared, random_raw_rows(prepared, rows=5, length=0))
    _assert_agrees(place, model, prepared, random_raw_rows(prepared, rows=300))


def test_trees_agree_on_many_rows_and_long_histories(prepared, tmp_path):
    model = models.build("gbdt", prepared.spec, {"trees": 50})
    perturb(model)
    place = _export(model, prepared, tmp_path / "out")
    _assert_agrees(place, model, prepared, random_raw_rows(prepared, 2 * ROWS_AT_ONCE + 3))
    longest = max(field.max_length for field in prepared.spec.fields)
    _assert_agrees(place, model, prepared, random_raw_rows(prepared, 300, 3 * longest))


def test_it_runs_without_tensorflow_and_this_project(prepared, tmp_path):
    model = models.build("hit", prepared.spec)
    perturb(model)
    place = _export(model, prepared, tmp_path / "out")
    raw = raw_rows(prepared)
    raw["user_mean_rating"][-1] = raw["item_mean_rating"][-1] = None  # JSON has no NaN
    (tmp_path / "raw.json").write_text(json.dumps(raw).replace("null", "NaN"))
    shutil.copytree(ROOT / "prerank", tmp_path / "prerank")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, str(place), str(tmp_path / "raw.json")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    _assert_close(np.array(json.loads(done.stdout)), keras_logits(model, prepared, raw_rows(prepared)))


def test_names_types_and_axes_are_those_of_the_signatures(prepared, tmp_path):
    place = _export(models.build("hit", prepared.spec), prepared, tmp_path / "out")
    described = json.loads((place / "features.json").read_text())
    assert described["format"] == "onnx"
    assert set(described["outputs"]) == {"serving_default", "user_tower", "item_tower", "score"}
    session = ort.InferenceSession(place / "user_tower.onnx")
    found = {value.name: (value.type, value.shape) for value in session.get_inputs()}
    assert set(found) == {field.name for field in prepared.spec.side("user")}
    assert found["user_hist"] == ("tensor(int32)", ["rows", "user_hist_length"])
    assert found["user_mean_rating"] == ("tensor(float)", ["rows"])
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("user_heads", ["rows", 2, 16])]
    session = ort.InferenceSession(place / "score.onnx")
    assert {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())} == {
        "user_heads": ["users", 2, 16], "item_heads": ["items", 2, 16], "logit": ["items"], "probability": ["items"],
    }  # fmt: skip


def test_a_model_of_half_precision_computes_in_single(prepared, tmp_path):
    single = models.build("dssm", prepared.spec)
    perturb(single)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = models.build("dssm", prepared.spec)
        half.set_weights(single.get_weights())
        place = _export(half, prepared, tmp_path / "out")
        assert tf.keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    _assert_agrees(place, single, prepared, raw_rows(prepared))


def test_either_format_replaces_the_other_whole(prepared, tmp_path):
    model = models.build("target_means", prepared.spec)
    for export_format, (there, gone) in {
        "onnx": ("score.onnx", "saved_model.pb"),
        "saved_model": ("saved_model.pb", "score.onnx"),
    }.items():
        place = target(tmp_path / "out")
        export(model, vocabularies(prepared), place, {"metrics.json": "{}"}, export_format)
        assert (place / there).exists()
        assert not (place / gone).exists()
        assert json.loads((place / "features.json").read_text())["format"] == export_format
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"tf2onnx.*requirements-onnx\.txt"):
        onnx_files.require()


def test_a_failed_export_leaves_nothing(prepared, tmp_path, monkeypatch):
    model = models.build("target_means", prepared.spec)
    with pytest.raises(InputError, match="--export_dir"):
        _export(model, prepared, tmp_path / "out", **{"catalogue.parquet": tmp_path / "absent"})
    monkeypatch.setattr(onnx_files, "_MOST_BYTES", 1)
    with pytest.raises(InputError, match="2 GiB"):
        _export(model, prepared, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


_SERVED = """
import json, sys
from prerank.preranker import PreRanker
from prerank.threads import limit_threads
limit_threads(1)
best = PreRanker(sys.argv[1], sys.argv[2]).top(json.loads(sys.argv[3]), 20)
assert "tensorflow" not in sys.modules
print(json.dumps([best.ids.tolist(), best.scores.tolist()]))
"""


@pytest.mark.parametrize("name", ["hit", "fit"])
def test_an_onnx_export_is_served_without_tensorflow(name, tmp_path):
    items = write_items(tmp_path / "items.parquet", range(1, 120, 2))
    rankers = {}
    for form in ("saved_model", "onnx"):
        place = export_small(name, tmp_path / form, catalogue=items, export_format=form)
        build(Artefact(place), items, place / "index")
        rankers[form] = PreRanker(place)
    for user in users(8):
        expected, found = (rankers[form].score(user, list(range(1, 120, 2))) for form in ("saved_model", "onnx"))
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
    command = [sys.executable, "-c", _SERVED, str(place), str(place / "index"), json.dumps(users(1)[0])]
    ids, scores = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    best = rankers["saved_model"].top(users(1)[0], 20)
    assert ids == best.ids.tolist()
    np.testing.assert_allclose(scores, best.scores, rtol=0, atol=1e-4)


def test_a_damaged_onnx_file_is_named(tmp_path):
    items = write_items(tmp_path / "items.parquet", range(1, 9))
    place = export_small("dssm", tmp_path / "out", catalogue=items, export_format="onnx")
    build(Artefact(place), items, place / "index")
    tower = place / "user_tower.onnx"
    whole = tower.read_bytes()
    tower.write_bytes(whole[:-1])
    with pytest.raises(ArtefactError, match=r"user_tower\.onnx: truncated"):
        Artefact(place)
    tower.write_bytes(b"\0" * len(whole))
    with pytest.raises(ArtefactError, match=r"user_tower\.onnx: damaged: its SHA-256"):
        Artefact(place)
    tower.write_bytes(whole)
    (place / "vocabularies.json").write_bytes(b"[" * (place / "vocabularies.json").stat().st_size)
    with pytest.raises(ArtefactError, match="vocabularies.json"):
        Artefact(place)
