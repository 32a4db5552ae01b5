import json
import os
import shutil
import subprocess
import sys
import threading
import time

import kills
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from raw_rows import keras_logits, perturb, random_raw_rows, raw_rows, tensors, vocabularies

import models
from export import writer
from export.raw_inputs import RawInputs
from export.writer import export, target
from models.gbdt.trees import ROWS_AT_ONCE
from prerank import index
from prerank.artefact import Artefact, fingerprint_of
from prerank.errors import ArtefactError, InputError
from prerank.folders import recover
from prerank.storage import StoredArray
from training.batches import Batches, read_columns

_FRESH = """
import json, sys
import numpy as np
import tensorflow as tf

def answer(place, raw):
    model = tf.saved_model.load(place)
    kinds = {item["name"]: item["dtype"] for item in json.load(open(place + "/features.json"))["inputs"]}
    inputs = {name: tf.constant(value, kinds[name]) for name, value in raw.items()}
    result = {name: value.numpy().tolist() for name, value in model.signatures["serving_default"](**inputs).items()}
    if "score" not in model.signatures:
        return result
    towers = [model.signatures[name] for name in ("user_tower", "item_tower")]
    state = {}
    for tower in towers:
        state |= tower(**{key: inputs[key] for key in tower.structured_input_signature[1]})
    result["score"] = model.signatures["score"](**state)["logit"].numpy().tolist()
    one = {key: value[:1] if key.startswith("user_") else value for key, value in state.items()}
    result["one_user"] = model.signatures["score"](**one)["logit"].numpy().tolist()
    return result

for line in sys.stdin:
    print(json.dumps(answer(*json.loads(line))), flush=True)
    assert not any(name in sys.modules for name in ("models", "layers", "features", "legacy_keras"))
"""


@pytest.fixture(scope="module")
def answers_of_tensorflow(tmp_path_factory):
    """Asks a process that has TensorFlow and nothing of this repository; one for all models, as it starts slowly."""
    folder = tmp_path_factory.mktemp("fresh")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")}
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _FRESH],
            cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip

    def ask(place, raw):
        process.stdin.write(json.dumps([str(place), raw]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, (folder / "errors").read_text()[-3000:]
        return json.loads(line)

    yield ask
    process.stdin.close()
    assert process.wait(60) == 0, (folder / "errors").read_text()[-3000:]


@pytest.mark.parametrize("name", [name for name in models.names() if models.get(name).exportable])
def test_exported_model_agrees_in_a_fresh_process(name, prepared, tmp_path, answers_of_tensorflow):
    model = models.build(name, prepared.spec)
    perturb(model)
    place = target(tmp_path / "out", 1)
    export(model, vocabularies(prepared), place, {"config.yaml": "a: 1\n", "catalogue.parquet": prepared.catalogue})
    raw = raw_rows(prepared)
    answer = answers_of_tensorflow(place, raw)
    expected = keras_logits(model, prepared, raw)
    np.testing.assert_allclose(answer["logit"], expected, atol=1e-5)
    np.testing.assert_allclose(answer["probability"], 1 / (1 + np.exp(-expected)), atol=1e-5)
    assert np.isfinite(answer["probability"]).all()
    assert ("score" in answer) == models.get(name).decoupled
    described = json.loads((place / "features.json").read_text())
    assert (described["log_odds"], described["calibrated"]) == (models.get(name).calibrated, False)
    if models.get(name).decoupled:
        np.testing.assert_allclose(answer["score"], expected, atol=1e-5)
        one_user = {key: [value[0]] * 4 if prepared.spec[key].side == "user" else value for key, value in raw.items()}
        np.testing.assert_allclose(answer["one_user"], keras_logits(model, prepared, one_user), atol=1e-5)


def test_raw_values_become_the_indices_of_the_prepared_data(prepared):
    spec = prepared.spec
    table = pq.read_table(prepared.parts("test")[0]).slice(0, 200)
    raw = {}
    for field in spec.fields:
        if field.kind == "dense":
            raw[field.name] = tf.constant(table[field.name].to_numpy(), tf.float32)
            continue
        values = prepared.vocabulary(field.vocabulary)
        unknown, padding = ("Unheard of", "") if field.raw_type == "string" else (987_654_321, -1)
        spelt = [padding, unknown, *values]
        rows = table[field.name].to_pylist()
        if field.kind == "sequence":
            rows = [row + [0] * (field.max_length - len(row)) for row in rows]
            raw[field.name] = tf.constant([[spelt[index] for index in row] for row in rows], field.raw_type)
        else:
            raw[field.name] = tf.constant([spelt[index] for index in rows], field.raw_type)
    encoded = RawInputs(spec, vocabularies(prepared)).encode(raw)
    for field in spec.fields:
        if field.kind == "sparse":
            assert np.array_equal(encoded[field.name], table[field.name].to_numpy())
        elif field.kind == "sequence":
            lists = table[field.name].to_pylist()
            assert [[index for index in row if index] for row in encoded[field.name].numpy().tolist()] == lists


def test_raw_numbers_become_those_of_the_training_to_the_last_bit(prepared):
    encode = tf.function(RawInputs(prepared.spec, vocabularies(prepared)).encode)  # a graph, as an export is
    for field in prepared.spec.fields:
        if field.kind == "dense":
            raw = read_columns(prepared, "train", [field.name])[field.name].astype(np.float32)
            trained = Batches(prepared, "train", 512).columns([field.name])[field.name]
            assert len(np.unique(trained)) > 100
            np.testing.assert_array_equal(encode({field.name: tf.constant(raw)})[field.name], trained)


def test_exported_trees_agree_on_many_rows_and_long_histories(prepared, tmp_path):
    model = models.build("gbdt", prepared.spec, {"trees": 50})
    perturb(model)
    place = target(tmp_path / "out")
    export(model, vocabularies(prepared), place, {})
    loaded = tf.saved_model.load(str(place))
    assert list(loaded.signatures) == ["serving_default"]
    longest = max(field.max_length for field in prepared.spec.fields)
    for rows, length in ((2 * ROWS_AT_ONCE + 3, 0), (300, 3 * longest), (0, 1)):
        raw = random_raw_rows(prepared, rows, length)
        found = loaded.signatures["serving_default"](**tensors(prepared, raw))["logit"]
        np.testing.assert_allclose(found, keras_logits(model, prepared, raw), rtol=0, atol=1e-6)


def test_features_json_and_companions(prepared, tmp_path):
    place = target(tmp_path / "out")
    model = models.build("hit", prepared.spec)
    export(model, vocabularies(prepared), place, {"metrics.json": "{}", "catalogue.parquet": prepared.catalogue})
    described = json.loads((place / "features.json").read_text())
    assert [item["name"] for item in described["inputs"]] == [field.name for field in prepared.spec.fields]
    by_name = {item["name"]: item for item in described["inputs"]}
    assert by_name["user_hist"] | {"trained_length": 0} == {
        "name": "user_hist", "side": "user", "kind": "sequence", "dtype": "int64", "shape": [None, None], "missing": -1,
        "vocabulary": "movie_id", "vocabulary_size": len(prepared.vocabulary("movie_id")) + 2, "trained_length": 0,
        "limit": 50,
        "order": "oldest first, padded on the right", "default": [],
    }  # fmt: skip
    assert {name for name, item in by_name.items() if "separator" in item} == {"genres"}
    assert by_name["genres"]["separator"] == "|"
    assert by_name["user_mean_rating"]["default"] == prepared.spec["user_mean_rating"].default
    assert set(described["outputs"]) == {"serving_default", "user_tower", "item_tower", "score"}
    assert described["outputs"]["user_tower"] == {"user_heads": [None, 2, 16]}
    catalogue = pq.read_table(place / "catalogue.parquet")
    item_fields = [field.name for field in prepared.spec.side("item")]
    assert set(item_fields) <= set(catalogue.column_names)


def test_export_replaces_an_export_and_nothing_else(prepared, tmp_path):
    model = models.build("target_means", prepared.spec)
    place = target(tmp_path / "out")
    for text in ("first", "second"):
        export(model, vocabularies(prepared), target(place), {"metrics.json": text})
    assert (place / "metrics.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="--export_dir"):
        target(tmp_path / "mine")
    with pytest.raises(InputError, match="--export_dir"):
        target(tmp_path / "mine" / "thesis.tex")


def test_failed_export_leaves_nothing(prepared, tmp_path):
    model = models.build("target_means", prepared.spec)
    with pytest.raises(InputError, match="--export_dir"):
        export(model, vocabularies(prepared), tmp_path / "out", {"catalogue.parquet": tmp_path / "absent"})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch):
    """An export that computes nothing: its files say which model it is of."""

    def write(model, vocabularies, folder, *_):
        (folder / "model").write_text(model)
        item = {"name": "movie_id", "side": "item", "kind": "sparse", "dtype": "int64", "missing": -1}
        item |= {"vocabulary": "movie_id", "vocabulary_size": 3}
        described = {"files": {"model": len(model)}, "format": "onnx", "inputs": [item], "model": model}
        described |= {
            "outputs": {},
            "specification": {"item_id": "movie_id", "context": [], "behaviours": []},
            "scorer": None,
            "reserved": {"missing": 0, "unseen": 1, "first": 2},
        }
        (folder / "features.json").write_text(json.dumps(described))

    monkeypatch.setattr(writer, "_write", write)

    def make(place, model, report=lambda _: None):
        writer.export(model, {}, target(place), {}, report=report)

    return make


def _index(place):
    """An index of the model that was exported to a place."""
    states = index.ItemStates(np.arange(3), {"a": StoredArray(np.zeros((1, 3, 2), np.float32))}, "float32")
    with index.writing(place / "index"):
        return index.publish(place / "index", states, {"model": "x", "fingerprint": fingerprint_of(place)})


@pytest.mark.parametrize("model", ["old", "new"])
def test_an_index_stays_with_the_same_model_and_is_said_to_be_deleted_with_another(quick, model, tmp_path):
    quick(tmp_path / "out", "old")
    _index(tmp_path / "out")
    before = os.stat(tmp_path / "out" / "index" / "CURRENT")
    said = []
    quick(tmp_path / "out", model, said.append)
    if model == "old":
        assert said == []
        assert index.read(tmp_path / "out" / "index", fingerprint_of(tmp_path / "out"))[0] == "v000001"
        after = os.stat(tmp_path / "out" / "index" / "CURRENT")
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)  # nobody needs to read it anew
    else:
        assert len(said) == 1
        assert "the item index was of the model exported before, so it is deleted" in said[0]
        assert not (tmp_path / "out" / "index").exists()
    assert os.listdir(tmp_path) == ["out"]


def test_an_index_is_copied_where_there_are_no_links(quick, tmp_path, monkeypatch):
    quick(tmp_path / "out", "old")
    _index(tmp_path / "out")

    def refuse(*args, **kwargs):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    quick(tmp_path / "out", "old")
    assert index.read(tmp_path / "out" / "index", fingerprint_of(tmp_path / "out"))[0] == "v000001"


@pytest.mark.parametrize("model", ["old", "new"])
def test_killed_at_any_call_an_export_is_the_old_or_the_new_one(quick, model, tmp_path):
    root = tmp_path / "root"
    place = root / "out"

    def prepare():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        quick(place, "old")
        (place / "of the old one").touch()
        _index(place)

    prepare()
    quick(place, model)
    undisturbed = kills.snapshot(root)
    assert "out/of the old one" not in undisturbed
    for _ in kills.killed(lambda: quick(place, model), root, prepare):
        recover(place)
        assert (place / "model").read_text() in ("old", model)
        if (place / "index").exists():
            assert index.read(place / "index", fingerprint_of(place))[0] == "v000001"
        kills.done(lambda: quick(place, model), root)
        assert kills.snapshot(root) == undisturbed


def test_a_served_export_that_a_kill_has_renamed_is_put_back(quick, tmp_path):
    quick(tmp_path / "out", "old")
    (tmp_path / "out").rename(tmp_path / ".out.replaced")
    with pytest.raises(ArtefactError, match="not an exported model"):
        Artefact(tmp_path / "other")
    with pytest.raises(ArtefactError, match="vocabularies.json"):  # it is no real one
        Artefact(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


def test_an_export_waits_for_an_index_that_is_being_built(quick, tmp_path):
    quick(tmp_path / "out", "old")
    _index(tmp_path / "out")
    said = []
    with index.writing(tmp_path / "out" / "index"):
        thread = threading.Thread(target=quick, args=(tmp_path / "out", "new", said.append))
        thread.start()
        while not said:
            time.sleep(0.01)
        assert (tmp_path / "out" / "model").read_text() == "old"
    thread.join()
    assert said[0].startswith("waiting for another process that writes to")
    assert (tmp_path / "out" / "model").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]
