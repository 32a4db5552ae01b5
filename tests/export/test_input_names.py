"""Inputs of any legal name are exported and served as those of plain names are."""

import dataclasses
import json

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from artefacts import VOCABULARIES, small_options, users
from support import SPEC, randomise

import models
from export.rest_example import rest_example
from export.writer import export, target
from features import FeatureSpec, Field
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.encoding import Indexer
from prerank.preranker import PreRanker

NAMES = ["self", "embedded", "inputs", "training", "class", "select", "label", "row", "group", "timestamp", "request"]
NAMES += ["stage", "weight", "teacher", "args", "kwargs", "name", "logit", "probability", "captured_0", "user_heads"]
NAMES += ["user_vector", "self_", "item_vector", "score"]


def _extra(number):
    side = ("user", "item")[number % 2]
    if number % 3 == 2:
        return Field(f"extra_{number}", side, "dense", "float32", default=0.25)
    return Field(f"extra_{number}", side, "sparse", "int64", f"extra_{number}", 5)


EXTRA = [_extra(number) for number in range(len(NAMES) - len(SPEC.fields))]
PLAIN = dataclasses.replace(SPEC, fields=(*SPEC.fields, *EXTRA))
CALLED = dict(zip((field.name for field in PLAIN.fields), NAMES, strict=True))
"""The strange name of each field, by its plain one."""


def _strange() -> FeatureSpec:
    described = PLAIN.to_dict()
    for field in described["fields"]:
        field["name"], field["vocabulary"] = CALLED[field["name"]], CALLED.get(field["vocabulary"], "")
    for role in ("user_id", "item_id", "history", "category", "user_mean", "item_mean"):
        described[role] = CALLED[described[role]]
    for role in ("user_static", "item_static"):
        described[role] = [CALLED[name] for name in described[role]]
    return FeatureSpec.from_dict(described | {"label": "_label"})


STRANGE = _strange()
KNOWN = VOCABULARIES | {field.name: np.arange(3) for field in EXTRA if field.vocabulary}


def _user(number):
    user = users(8)[number]
    return user | {field.name: number % 4 for field in EXTRA if field.side == "user"}


def _write_items(path, names):
    random = np.random.default_rng(0)
    ids = VOCABULARIES["movie_id"][:20]
    table = {
        "movie_id": ids,
        "genres": pa.array([["Drama", "?"][: number % 3] for number in range(len(ids))], pa.list_(pa.string())),
        "item_mean_rating": random.random(len(ids)),
    } | {field.name: random.integers(0, 5, len(ids)) for field in EXTRA if field.side == "item"}
    pq.write_table(pa.table({names.get(name, name): values for name, values in table.items()}), path)
    return path


def _model(name, spec):
    model = models.build(name, spec, small_options(name), seed=1)
    randomise(model, 1)
    return model


def _scores(model, names, place, form):
    """Of the ranker, by an export of a model whose fields are called by `names`."""
    spelt = {names.get(name, name): values for name, values in KNOWN.items()}
    export(model, spelt, target(place), {}, form, lambda line: None)
    items = _write_items(place / "items.parquet", names)
    build(Artefact(place), items, place / "index")
    ranker = PreRanker(place)
    ids = pq.read_table(items)[model.spec.item_id].to_pylist()
    asked = [{names.get(name, name): value for name, value in _user(number).items()} for number in range(4)]
    return np.array([found.scores for found in ranker.score_many(asked, ids)])


@pytest.mark.parametrize(("form", "name"), [("onnx", "hit"), ("saved_model", "dssm")])
def test_exports_serve_any_names(form, name, tmp_path):
    plain, strange = _model(name, PLAIN), _model(name, STRANGE)
    strange.set_weights(plain.get_weights())
    expected = _scores(plain, {}, tmp_path / "plain", form)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(_scores(strange, CALLED, tmp_path / "strange", form), expected, rtol=0, atol=1e-5)
    described = json.loads((tmp_path / "strange" / "features.json").read_text())
    arguments = {field["name"]: field["argument"] for field in described["inputs"] if "argument" in field}
    if form == "saved_model":
        assert arguments == {"self": "self__"}  # there is a field self_
        loaded = tf.saved_model.load(str(tmp_path / "strange")).signatures["serving_default"]
        assert set(loaded.structured_input_signature[1]) == {*NAMES, "self__"} - {"self"}
        return
    assert {"self", "logit", "probability", "user_heads"} <= set(arguments)
    user = {CALLED[field.name]: [_user(2).get(field.name)] for field in PLAIN.side("user")}
    table = pq.read_table(tmp_path / "strange" / "items.parquet")
    item = {field.name: table[field.name].to_pylist()[:1] for field in STRANGE.side("item")}
    encoded = Indexer(tmp_path / "strange").encode(user | item)
    session = onnxruntime.InferenceSession(tmp_path / "strange" / "serving_default.onnx")
    assert {value.name for value in session.get_inputs()} == set(encoded)
    assert session.run(["logit"], encoded)[0][0] == pytest.approx(expected[2, 0], abs=1e-4)


def test_a_rest_request_names_the_signatures_arguments(tmp_path):
    place = target(tmp_path / "out")
    export(_model("lr", STRANGE), {CALLED.get(name, name): values for name, values in KNOWN.items()}, place, {})
    _write_items(tmp_path / "items.parquet", CALLED)
    items = pq.read_table(tmp_path / "items.parquet").slice(0, 2)
    user = {CALLED[field.name]: _user(1).get(field.name) for field in PLAIN.side("user")}
    rows = pa.table(
        {name: pa.array([value] * 2) for name, value in user.items()}
        | dict(zip(items.column_names, items.columns, strict=True))
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    request, answer = rest_example(Artefact(place), tmp_path / "rows.parquet")
    assert set(request["instances"][0]) == {*NAMES, "self__"} - {"self"}
    assert len(answer["predictions"]) == 2
